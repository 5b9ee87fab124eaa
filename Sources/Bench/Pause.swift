// Owns: letting time go by between two looks. Main thread.

import Loop

/// A stretch of time in which nothing is asked.
enum Pause {
  static func wait(ms: Int64) throws(LoadFailure) {
    do throws(SystemError) {
      let loop = try EventLoop()
      let timer = LoopTimer(loop) { loop.stop() }
      timer.set(afterMs: ms)
      loop.run()
    } catch {
      throw LoadFailure(error)
    }
  }
}

// Owns: a listening socket of one loop, and when it is asked for callers.
// Runs on its loop's thread.

internal import Glibc
internal import Loop

/// Takes callers from a listening socket.
final class Acceptor: FileWatchOwner {
  private let socket: Socket
  private let take: (Socket) -> Void
  private var watch: FileWatch?
  private var pause: LoopTimer?
  /// Callers taken in one turn; those who are served already have their turn in between.
  private let perTurn = 64
  /// More cannot wait in the kernel.
  private let queueMax = 65_536

  init(_ loop: EventLoop, _ socket: Socket, _ take: @escaping (Socket) -> Void) {
    self.socket = socket
    self.take = take
    watch = FileWatch(loop, socket.descriptor, owner: self)
    watch?.want(.read)
    pause = LoopTimer(loop) { [unowned self] in watch?.want(.read) }
  }

  deinit {
    watch = nil
    socket.close()
  }

  func fileReady(_ readiness: Readiness) { takeSome(perTurn) }

  /// Accepts all waiting connections: closing the socket would reset them.
  func takeAll() { takeSome(queueMax) }

  private func takeSome(_ most: Int) {
    for _ in 0..<most {
      do throws(SystemError) {
        guard let caller = try socket.accept() else { return }
        take(caller)
      } catch {
        // Out of descriptors or memory: asking again at once would only burn the processor.
        watch?.want(.none)
        pause?.set(afterMs: 100)
        return
      }
    }
  }
}

// Owns: a thread of the process. Its work is the caller's.

internal import CLinux
internal import Glibc

/// A named POSIX thread that runs one closure to its end.
package final class LoopThread: @unchecked Sendable {
  // Unchecked because pthread_t is a plain handle; it is written once, before anyone can join.
  private var handle = pthread_t()

  private final class Start {
    let name: String
    let body: @Sendable () -> Void
    init(_ name: String, _ body: @escaping @Sendable () -> Void) {
      self.name = name
      self.body = body
    }
  }

  /// Starts the thread; the name (15 bytes at most) is what `top -H` shows.
  package init(name: String, _ body: @escaping @Sendable () -> Void) throws(SystemError) {
    let start = Unmanaged.passRetained(Start(name, body))
    let result = pthread_create(
      &handle, nil,
      { context in
        guard let context else { return nil }
        let start = Unmanaged<Start>.fromOpaque(context).takeRetainedValue()
        pthread_setname_np(pthread_self(), String(start.name.prefix(15)))
        start.body()
        return nil
      }, start.toOpaque())
    guard result == 0 else {
      start.release()
      throw SystemError("pthread_create", result)
    }
  }

  /// Waits until the thread has ended.
  ///
  /// Call it once.
  package func join() { pthread_join(handle, nil) }

  /// Lets the thread end by itself, without a `join`.
  ///
  /// Call it instead of `join`.
  package func detach() { pthread_detach(handle) }
}

// Owns: a listening socket of one loop, and when it is asked for callers.
// Runs on its loop's thread.

internal import Glibc
internal import Loop
internal import Service

/// Takes callers from a listening socket, as long as there are descriptors for them.
final class Acceptor: FileWatchOwner {
  /// Why no callers are taken for a moment.
  enum Pause {
    /// Callers have all descriptors that they may have.
    case noDescriptors
    case failed(SystemError)
  }

  private let socket: Socket
  private let descriptors: DescriptorPool
  private let take: (Socket) -> Void
  private let paused: (Pause) -> Void
  private var watch: FileWatch?
  private var pause: LoopTimer?
  /// Callers taken in one turn; those who are served already have their turn in between.
  private let perTurn = 64
  /// More cannot wait in the kernel.
  private let queueMax = 65_536
  /// How long no caller is taken when there is no descriptor for one; they wait in the kernel.
  private static let pauseMs: Int64 = 100

  /// `take` gets a socket with a descriptor of the pool, which has to be given back.
  init(
    _ loop: EventLoop, _ socket: Socket, _ descriptors: DescriptorPool,
    take: @escaping (Socket) -> Void, paused: @escaping (Pause) -> Void
  ) {
    self.socket = socket
    self.descriptors = descriptors
    self.take = take
    self.paused = paused
    watch = FileWatch(loop, socket.descriptor, owner: self)
    watch?.want(.read)
    pause = LoopTimer(loop) { [unowned self] in watch?.want(.read) }
  }

  deinit {
    watch?.want(.none)
    watch = nil
    socket.close()
  }

  func fileReady(_ readiness: Readiness) { takeSome(perTurn) }

  /// Accepts all waiting connections: closing the socket would reset them.
  func takeAll() { takeSome(queueMax) }

  /// Has the kernel complete no further connection: one that is asked for now is refused once the
  /// socket is closed, and not reset.
  func refuseNewOnes() { socket.dropConnectionRequests() }

  private func takeSome(_ most: Int) {
    for _ in 0..<most {
      guard descriptors.take() else { return rest(.noDescriptors) }
      do throws(SystemError) {
        guard let caller = try socket.accept() else { return descriptors.giveBack() }
        take(caller)
      } catch {
        descriptors.giveBack()
        return rest(.failed(error))
      }
    }
  }

  /// Asking again at once would only burn the processor.
  private func rest(_ why: Pause) {
    watch?.want(.none)
    pause?.set(afterMs: Acceptor.pauseMs)
    paused(why)
  }
}

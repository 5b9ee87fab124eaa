// Owns: the private redis-server of a worker that was given no URL: started, started again when
// it dies, stopped at the end. Runs on the main thread.

internal import Glibc
internal import Loop
internal import RedisConnection
internal import Settings

/// A redis-server of our own, on a Unix socket in the data folder.
final class EmbeddedRedis {
  private let folder: DataFolder
  private let log: Log
  private let fsync: String
  private var child: ChildProcess?
  private var restart: LoopTimer?
  private var giveUp: LoopTimer?
  private var stopped: (() -> Void)?
  private var failuresInARow = 0
  private var startedAtMs: Int64 = 0

  /// Takes the folder and starts Redis in it.
  init(_ loop: EventLoop, _ settings: Settings, log: Log) throws(StartError) {
    folder = try DataFolder(settings.dataDirectory)
    self.log = log
    fsync = settings.embeddedFsync.rawValue
    restart = LoopTimer(loop) { [unowned self] in restartNow() }
    giveUp = LoopTimer(loop) { [unowned self] in child?.signal(SIGKILL) }
    unlink(socketPath)
    try start()
  }

  private var socketPath: String { folder.path + "/redis.sock" }

  /// How to reach it.
  var endpoint: RedisEndpoint { RedisEndpoint(address: .unix(path: socketPath)) }

  private func start() throws(StartError) {
    // When this process is killed, the kernel ends Redis too, and Redis then saves what it has.
    let command = ["setpriv", "--pdeathsig", "TERM", "redis-server"]
    let options: KeyValuePairs = [
      "--port": "0", "--unixsocket": socketPath, "--unixsocketperm": "700",
      "--dir": folder.path, "--appendonly": "yes", "--appendfsync": fsync, "--save": "",
      "--maxmemory-policy": "noeviction", "--notify-keyspace-events": "Ex",
      "--daemonize": "no", "--pidfile": folder.path + "/redis.pid",
    ]
    do throws(SystemError) {
      child = try ChildProcess(
        command + options.flatMap { [$0.key, $0.value] }, outputPath: folder.path + "/redis.log")
      startedAtMs = MonotonicTime.nowMs()
    } catch {
      throw StartError(
        text: "redis-server cannot be started (\(error)); install Debian's packages redis-server "
          + "and util-linux, or name a Redis with --redis")
    }
  }

  /// Looks whether the child has ended; call it on SIGCHLD.
  func childChanged() {
    guard let end = child?.reap() else { return }
    child = nil
    if let stopped {
      giveUp?.cancel()
      stopped()
      return
    }
    // One that ran for a while is started again at once, one that cannot start ever more slowly.
    failuresInARow = MonotonicTime.nowMs() - startedAtMs > 5_000 ? 0 : failuresInARow + 1
    let waitMs = min(2_000, Int64(50) << min(failuresInARow, 6))
    log.warn(
      "the embedded redis-server ended and is started again",
      ["how": "\(end)", "in_ms": "\(waitMs)", "its_log": folder.path + "/redis.log"])
    restart?.set(afterMs: waitMs)
  }

  private func restartNow() {
    do throws(StartError) {
      try start()
    } catch {
      log.error("the embedded redis-server cannot be started again", ["error": error.text])
      restart?.set(afterMs: 2_000)
    }
  }

  /// Ends Redis, which saves what it has; `done` is called when it has ended.
  func stop(_ done: @escaping () -> Void) {
    restart?.cancel()
    guard let child else {
      done()
      return
    }
    stopped = done
    child.signal(SIGTERM)
    giveUp?.set(afterMs: 10_000)
  }
}

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
  private var policy = RestartPolicy()
  private var startedAtMs: Int64 = 0
  private var hasServed = false
  /// Where the log of the present process begins.
  private var logOffset = 0
  /// Called if it cannot run in its folder.
  var givenUp: (() -> Void)?

  /// Takes the folder and starts Redis in it.
  init(_ loop: EventLoop, _ settings: Settings, log: Log) throws(StartError) {
    folder = try DataFolder(settings.dataDirectory)
    self.log = log
    fsync = settings.embeddedFsync.rawValue
    restart = LoopTimer(loop) { [unowned self] in restartNow() }
    giveUp = LoopTimer(loop) { [unowned self] in child?.signal(SIGKILL) }
    try start()
  }

  private var socketPath: String { folder.path + "/redis.sock" }
  private var logPath: String { folder.path + "/redis.log" }

  /// How to reach it.
  var endpoint: RedisEndpoint { RedisEndpoint(address: .unix(path: socketPath)) }

  /// Removes the socket of an earlier Redis; what Redis would refuse is an error here, in words.
  private func prepareSocket() throws(StartError) {
    let (bytes, most) = (socketPath.utf8.count, Address.unixPathBytesMax)
    guard bytes <= most else {
      throw StartError(
        text: "the data folder's path is too long: \(socketPath) has \(bytes) bytes, and a Unix "
          + "socket's path may have \(most); give a shorter --data")
    }
    var status = stat()
    guard lstat(socketPath, &status) == 0 else { return }
    guard status.st_mode & S_IFMT == S_IFSOCK else {
      let what = status.st_mode & S_IFMT == S_IFDIR ? "a folder" : "no socket"
      throw StartError(
        text: "\(socketPath) is \(what), and the embedded Redis needs its socket there; remove it, "
          + "or give another --data")
    }
    unlink(socketPath)
  }

  private func start() throws(StartError) {
    try prepareSocket()
    hasServed = false
    logOffset = RedisLastWords.size(of: logPath)
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
        command + options.flatMap { [$0.key, $0.value] }, outputPath: logPath,
        kept: folder.redisLock)
      startedAtMs = MonotonicTime.nowMs()
    } catch {
      let fix =
        error.number == ENOENT
        ? "install Debian's packages redis-server and util-linux, or name a Redis with --redis"
        : "see that \(logPath) is a file that can be written"
      throw StartError(text: "redis-server cannot be started (\(error)); \(fix)")
    }
  }

  /// A worker has been connected to it, and has found it fit.
  func served() { hasServed = true }

  /// Looks whether the child has ended; call it on SIGCHLD.
  func childChanged() {
    guard let end = child?.reap() else { return }
    child = nil
    if let stopped {
      giveUp?.cancel()
      stopped()
      return
    }
    let words = RedisLastWords(of: logPath, from: logOffset)
    again(
      how: "\(end)", said: words.text, fix: words.remedy(folder: folder.path),
      ranMs: MonotonicTime.nowMs() - startedAtMs)
  }

  /// Starts it again after a while, or gives it up.
  private func again(how: String, said: String, fix: String, ranMs: Int64) {
    guard let waitMs = policy.ended(ranMs: ranMs, hasServed: hasServed) else {
      log.error(
        "the embedded redis-server does not start: giving up",
        ["how": how, "error": said, "fix": fix, "its_log": logPath])
      givenUp?()
      return
    }
    log.repeated(
      .warn, "the embedded redis-server ended and is started again",
      ["how": how, "error": said, "in_ms": "\(waitMs)", "its_log": logPath])
    restart?.set(afterMs: waitMs)
  }

  private func restartNow() {
    do throws(StartError) {
      try start()
    } catch {
      again(how: "not started", said: error.text, fix: "see the error", ranMs: 0)
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

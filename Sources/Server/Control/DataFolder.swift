// Owns: the data folder of an embedded Redis, and the locks that keep a second Redis out of it.
// Runs on the main thread.

internal import Glibc
internal import Loop

/// Why a worker cannot start; the text says what to do.
package struct StartError: Error, Sendable {
  package let text: String
}

/// A data folder that only this worker uses.
///
/// Two locks, because two processes have to be kept out: another worker, for as long as this one
/// lives; and a Redis that a killed worker has left running, for as long as that one is writing.
/// The second lock's descriptor is inherited by our Redis, so the kernel frees it with Redis.
final class DataFolder {
  let path: String
  private let workerLock: Int32
  /// The descriptor of the lock that our Redis is to keep.
  let redisLock: Int32

  /// Makes the folder if needed and locks it.
  ///
  /// Waits up to `leftoverWaitMs` for a Redis that is still ending.
  init(_ path: String, leftoverWaitMs: Int64 = 10_000) throws(StartError) {
    self.path = try DataFolder.make(path)
    workerLock = try DataFolder.open(self.path + "/worker.lock", inherited: false)
    guard flock(workerLock, LOCK_EX | LOCK_NB) == 0 else {
      close(workerLock)
      throw StartError(
        text: "the data folder \(path) is in use by another worker; give this one another "
          + "--data, or let both share one Redis with --redis")
    }
    redisLock = try DataFolder.open(self.path + "/redis.lock", inherited: true)
    let giveUpMs = MonotonicTime.nowMs() + leftoverWaitMs
    while flock(redisLock, LOCK_EX | LOCK_NB) != 0 {
      guard MonotonicTime.nowMs() < giveUpMs else {
        throw StartError(
          text: "a redis-server of an earlier worker still uses the data folder \(path) and does "
            + "not end; look for it with: pgrep -af redis-server")
      }
      // Its lock ends with it; there is no event for that, so ask again shortly.
      poll(nil, 0, 20)
    }
  }

  deinit {
    close(redisLock)
    close(workerLock)
  }

  private static func make(_ path: String) throws(StartError) -> String {
    // Missing parents are made too, as `mkdir -p` does.
    for slash in path.indices.dropFirst() where path[slash] == "/" {
      mkdir(String(path[..<slash]), 0o700)
    }
    if mkdir(path, 0o700) != 0, errno != EEXIST {
      let error = SystemError("mkdir", errno)
      throw StartError(text: "the data folder \(path) cannot be made: \(error)")
    }
    guard let real = realpath(path, nil) else {
      throw StartError(text: "the data folder \(path) cannot be used: \(SystemError("", errno))")
    }
    defer { free(real) }
    return String(cString: real)
  }

  private static func open(_ path: String, inherited: Bool) throws(StartError) -> Int32 {
    let descriptor = Glibc.open(path, O_RDWR | O_CREAT | (inherited ? 0 : O_CLOEXEC), 0o600)
    guard descriptor >= 0 else {
      throw StartError(text: "\(path) cannot be written: \(SystemError("open", errno))")
    }
    return descriptor
  }
}

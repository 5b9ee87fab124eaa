// Owns: the form of what a worker does in Redis again and again, for as long as it reaches it. Runs
// on the main thread.

/// Work that goes on while Redis can be reached: heartbeats, counts, the removal of old libraries.
package protocol RedisFollower: AnyObject {
  /// Redis can be reached: the work begins, or goes on.
  func start()
  /// Redis cannot be reached any more, or this worker ends.
  func pause()
}

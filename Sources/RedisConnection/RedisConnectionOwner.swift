// Owns: the callbacks of a connection to Redis. On the connection's thread.

/// The user of a connection.
package protocol RedisConnectionOwner: AnyObject {
  /// The connection can serve now.
  func redisServes(_ redis: RedisConnection)
  /// The connection cannot serve any more.
  ///
  /// What it carried has been failed before this call, unless this is not the server for work: then
  /// replies to it may still follow.
  func redisFailed(_ redis: RedisConnection, reason: String)
  /// This Redis cannot be worked with, and waiting will not help.
  func redisRefused(_ redis: RedisConnection, reason: String)
  /// A batch's reply: an array with a reply line per request, or an error.
  func batchAnswered(_ redis: RedisConnection, _ batch: Batch, _ reply: RedisReply)
  /// A batch that has no reply and will have none.
  func batchFailed(_ redis: RedisConnection, _ batch: Batch, _ failure: RedisFailure)
}

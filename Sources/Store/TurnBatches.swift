// Owns: the batches of a turn, and which of them holds each caller's latest request. A value; the
// loop's thread.

internal import RedisConnection
internal import Scripts

/// A batcher that knows its callers by their places.
struct TurnBatches {
  var batcher: Batcher
  /// The sequence of the batch that holds each caller's latest request, by the caller's place.
  ///
  /// Batcher says what it is for. One that a place's last tenant has left behind does no harm.
  private var latest: [UInt64] = []

  init(requestsMax: Int, tracksRequests: Bool = false) {
    batcher = Batcher(requestsMax: requestsMax, tracksRequests: tracksRequests)
  }

  /// The batch that a caller's next request joins; with `partition` one of that partition alone.
  mutating func batch(
    for script: Script, of caller: ConnectionID, partition: Int? = nil
  ) -> Batch {
    let place = Int(caller.place)
    while latest.count <= place { latest.append(0) }
    let batch = batcher.batch(for: script, after: latest[place], partition: partition)
    latest[place] = batch.sequence
    return batch
  }
}

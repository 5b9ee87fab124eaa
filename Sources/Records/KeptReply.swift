// Owns: the check of a reply that was kept under an idempotency key. On a loop's thread.

internal import RedisConnection
internal import Wire

extension RecordLine {
  /// Becomes a kept reply, from an array: `kept`, its key, and the line without its end.
  ///
  /// Only an OK line with one JSON value or none is one. Instead of anything else there is an error
  /// and no new attempt: the request that the key was used for may have been applied.
  mutating func putKept(_ reply: RedisReply) {
    let kept = reply[2].bytes
    guard RecordLine.isOK(kept) else {
      let key = reply[1].text
      refuse(
        RequestError(
          .unknownOutcome,
          "the kept reply of this req= is corrupt in Redis (\(key)): the request may have been "
            + "applied; read what it was to change, and use another req= if it was not"))
      noteCorrupt()
      return
    }
    reset()
    put(kept)
  }

  private static func isOK(_ line: LentBytes) -> Bool {
    let word = Array("OK".utf8)
    guard line.starts(with: word) else { return false }
    guard line.count > word.count else { return true }
    guard line[word.count] == UInt8(ascii: " ") else { return false }
    let body = LentBytes(rebasing: line[(word.count + 1)...])
    let depthMax = RequestParser.payloadDepthMaxDefault
    return body.first == UInt8(ascii: "{") && LineJSON.isValue(body.span, depthMax: depthMax)
  }
}

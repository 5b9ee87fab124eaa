// Owns: how the profile of a link is shown. On a loop's thread.

internal import RedisConnection
internal import Wire

/// The profile of a link.
///
/// From an array: `profile`, and the names and values of its record in turn, or null if its key is
/// of another type.
struct ShownProfile {
  let reply: RedisReply

  func put(into line: inout RecordLine) {
    let stored = StoredSession(reply[1])
    if reply[1].kind != .array { line.damage(.of("record")) }
    line.put("{\"rev\":")
    line.put(stored.number(.rev).or(.known(0)), .of("rev"))
    line.put(",\"fields\":{")
    SessionFields.put(stored, into: &line)
    line.put("}")
    line.putDamaged()
    line.put("}")
  }
}

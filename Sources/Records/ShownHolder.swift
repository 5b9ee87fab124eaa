// Owns: how a lock's record and its note become what HOLDER gives. On a loop's thread.

internal import RedisConnection
internal import Seal
internal import Wire

/// The holder of a lock.
///
/// From an array: `holder`, the agent, its time left in ms and when it acquired the lock, all three
/// empty if the record is corrupt, the note, null for none, and empty if its key is missing or no
/// text; the agent to whom the lock goes back, null for none; and how many callers wait for it.
struct ShownHolder {
  let reply: RedisReply

  func put(into line: inout RecordLine) {
    line.put("{\"agent\":")
    line.put(id: reply[1].bytes, .of("agent"))
    line.put(",\"ttl_ms\":")
    line.put(StoredNumber(reply[2].bytes), .of("ttl_ms"))
    line.put(",\"acquired_at\":")
    line.put(StoredNumber(reply[3].bytes), .of("acquired_at"))
    if let note = reply[4].textIfAny {
      line.put(",\"note\":")
      line.put(value: note, .note, .of("note"))
    }
    if let agent = reply[5].textIfAny {
      line.put(",\"returns_to\":")
      line.put(id: agent, .of("returns_to"))
    }
    line.put(",\"waiting\":")
    line.put(reply[6].integer ?? 0)
    line.putDamaged()
    line.put("}")
  }
}

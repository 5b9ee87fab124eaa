// PART: a piece of an answer that a turn is writing.

internal import RedisConnection
internal import Scripts
internal import Seal
internal import Wire

enum PartVerb {
  static let verb = Verb(
    name: "PART", rights: .write, words: [.device], options: [.turn, .req, .asUser],
    required: [.turn],
    payload: .any,
    summary:
      "Pushes a piece of the answer that a turn is writing, and keeps it until the turn ends.",
    replies: ["OK", "NONE", "STALE"]
  ) { (call) throws(RequestError) in
    guard let payload = call.payload else { return }
    try call.run(
      PartCall(
        device: call[0], users: call.usersText, turn: call.number(.turn) ?? 0,
        piece: call.sealer.text(payload, .part), req: call.req))
  }
}

/// A request for part.lua.
struct PartCall: ScriptCall {
  static let script = Script.part
  let device: ArgumentText
  /// Those to whose sessions the request is limited.
  let users: ArgumentText?
  let turn: Int64
  let piece: ArgumentText
  let req: ArgumentText?

  func write(to words: inout CommandBuffer) {
    words.word(device)
    words.word(users)
    words.word(turn)
    words.word(piece)
    words.word(req)
  }
}

// Owns: the call of the script that PAUSE, RESUME, CLOSE and ARCHIVE share. A value; lives during
// one call of the verb, on the loop's thread.

internal import RedisConnection
internal import Scripts

/// A request for change_state.lua.
struct ChangeStateCall: ScriptCall {
  static let script = Script.changeState
  let device: ArgumentText
  let session: ArgumentText?
  let verb: ArgumentText
  let to: ArgumentText
  let reason: ArgumentText?
  let token: Fence?
  let req: ArgumentText?

  func write(to words: inout CommandBuffer) {
    words.word(device)
    words.word(session)
    words.word(verb)
    words.word(to)
    words.word(reason)
    words.word(token)
    words.word(req)
  }
}

// DROP: removes documents, by their keys or all that begin with a prefix.

internal import RedisConnection
internal import Scripts
internal import SessionModel
internal import Store
internal import Wire

enum DropVerb {
  static let verb = Verb(
    name: "DROP", rights: .write, words: [.session, .documentKeysIfAny],
    options: [.prefix, .token, .turn, .req],
    summary: "Removes documents of a session, by their keys or by a prefix of them.",
    replies: ["OK", "NONE", "STALE"]
  ) { (call) throws(RequestError) in
    let address = call.address
    let prefix = call.option(.prefix)
    try check(call)
    guard let prefix else {
      try call.run(
        DropCall(
          device: address.device, session: address.session,
          names: .owned(call.documentKeys().bytes), low: nil, high: nil, before: 0,
          token: call.fence, req: call.req))
      return
    }
    var range = DocumentRange()
    range.begins(with: prefix)
    let drop = DropCall(
      device: address.device.kept, session: address.session?.kept, names: nil,
      low: .owned(range.lowBound), high: .owned(range.highBound), before: 0, token: call.fence,
      req: call.req)
    DropSteps(request: try HeldRequest(call), partition: call.partition).send(drop)
  }
}

extension DropVerb {
  /// Refuses a request without keys and prefix, or with both, or with very many keys.
  private static func check(_ call: borrowing Call) throws(RequestError) {
    guard (call.option(.prefix) == nil) == (call.arguments.words.count > 1) else {
      throw RequestError(.badRequest, "DROP takes keys or prefix=, one of both: \(verb.usage)")
    }
    try TakeVerb.checkCount(call)
  }
}

/// A DROP of a prefix on its way, which goes on while there are more documents.
private struct DropSteps {
  let request: HeldRequest
  let partition: Partition

  func send(_ drop: DropCall) {
    request.store.call(ScriptQuery(drop, at: partition), timeoutMs: request.stepMs) { outcome in
      let more = Array("MORE ".utf8)
      guard case .line(let line, _) = outcome, line.starts(with: more) else {
        return request.end(outcome)
      }
      guard !request.isOver else {
        return request.end(
          .failed(
            RequestError(
              .unknownOutcome, "some of the documents were removed, others are left: repeat it")))
      }
      var next = drop
      next.before = Int64(String(decoding: line.dropFirst(more.count), as: UTF8.self)) ?? 0
      send(next)
    }
  }
}

/// A request for drop.lua.
struct DropCall: ScriptCall {
  static let script = Script.drop
  let device: ArgumentText
  let session: ArgumentText?
  let names: ArgumentText?
  let low: ArgumentText?
  let high: ArgumentText?
  /// How many were removed by earlier steps.
  var before: Int64
  let token: Fence?
  let req: ArgumentText?

  func write(to words: inout CommandBuffer) {
    words.word(device)
    words.word(session)
    words.word(names)
    words.word(low)
    words.word(high)
    words.word(before)
    words.word(token)
    words.word(req)
  }
}

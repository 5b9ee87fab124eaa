// Owns: the fence of a request that changes a session: a lock's token or a turn's number. A value;
// any thread.

internal import RedisConnection
internal import Wire

/// The right to write that a request shows.
enum Fence {
  /// The token of the device's lock.
  case token(Int64)
  /// The number of its running turn.
  case turn(Int64)

  /// As the scripts take it: a token, or `t` and the number of a turn.
  var text: String {
    switch self {
    case .token(let number): "\(number)"
    case .turn(let number): "t\(number)"
    }
  }
}

extension Call {
  /// Refuses a request with two fences: either of them shows the right to write.
  func checkFence() throws(RequestError) {
    guard option(.turn) != nil, option(.token) != nil else { return }
    throw RequestError(.badRequest, "token= and turn= exclude each other: \(verb.usage)")
  }

  /// The fence of the request, or nil.
  var fence: Fence? { number(.turn).map { .turn($0) } ?? number(.token).map { .token($0) } }

  /// The same as the scripts take it; empty without one.
  var fenceText: String { fence?.text ?? "" }
}

extension CommandBuffer {
  /// Appends a fence, or an empty word.
  mutating func word(_ fence: Fence?) {
    switch fence {
    case nil: emptyWord()
    case .token(let number): word(number)
    case .turn: word(fence?.text ?? "")
    }
  }
}

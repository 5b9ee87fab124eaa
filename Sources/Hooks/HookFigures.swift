// Owns: the hooks and their figures as Redis has them. Values; any thread.

package import RedisConnection
package import Scripts

/// The figures of a hook, of all workers together.
package struct HookFigures: Sendable, Equatable {
  /// How many events were delivered, and how many attempts have failed.
  package var delivered: Int64 = 0
  package var failed: Int64 = 0
  package var deliveredAtMs: Int64?
  /// The latest failure; it has no secret in it.
  package var error: String?
  package var errorAtMs: Int64?
  /// How many events are being sent.
  package var underWay: Int64 = 0

  /// Whether the latest attempt of which it is known has failed.
  package var isFailing: Bool {
    guard let errorAtMs else { return false }
    return errorAtMs > deliveredAtMs ?? 0
  }
}

/// The answer of hooks.lua.
package struct HookListing: Sendable {
  /// The time of Redis, in ms since 1970.
  package let nowMs: Int64
  /// In the order of their names.
  package let hooks: [KeptHook]
  private let fields: [String: String]

  /// What a worker has under way is known for so long.
  private static let freshMs: Int64 = 5_000

  /// No listing is on its way for so long.
  private static let wayMaxMs: Int64 = 10_000

  /// Whether a listing of the one time is older than one of the other, by Redis' clock; one that is
  /// much older shows that the clock was set back.
  static func isOvertaken(atMs: Int64, by latestMs: Int64) -> Bool {
    1..<wayMaxMs ~= latestMs - atMs
  }

  /// Nil if it is another reply.
  package init?(_ reply: RedisReply) {
    guard reply.kind == .array, reply.count == 3, let nowMs = Int64(reply[0].text) else {
      return nil
    }
    self.nowMs = nowMs
    let definitions = reply[1]
    hooks = stride(from: 0, to: definitions.count - 1, by: 2)
      .map { KeptHook(name: definitions[$0].text, value: definitions[$0 + 1].bytes) }
      .sorted { $0.name < $1.name }
    let figures = reply[2]
    fields = Dictionary(
      stride(from: 0, to: figures.count - 1, by: 2)
        .map { (figures[$0].text, figures[$0 + 1].text) }, uniquingKeysWith: { first, _ in first })
  }

  package func figures(of name: String) -> HookFigures {
    var figures = HookFigures()
    let number = { (field: String) in fields["\(field) \(name)"].flatMap { Int64($0) } }
    figures.delivered = number("delivered") ?? 0
    figures.failed = number("failed") ?? 0
    figures.deliveredAtMs = number("delivered_at")
    figures.error = fields["error \(name)"]
    figures.errorAtMs = number("error_at")
    for (field, value) in fields where field.hasPrefix("way ") && field.hasSuffix(" \(name)") {
      let words = value.split(separator: " ")
      guard field.split(separator: " ").count == 3, words.count == 3, let count = Int64(words[0]),
        let atMs = Int64(words[1]), nowMs - atMs < HookListing.freshMs
      else { continue }
      figures.underWay += count
    }
    return figures
  }
}

/// A request for hooks.lua.
package struct HooksCall: ScriptCall {
  package static let script = Script.hooks

  package init() {}

  package func write(to words: inout CommandBuffer) {}
}

/// A request for note_hook.lua.
package struct NoteHookCall: ScriptCall {
  package static let script = Script.noteHook
  let worker: ArgumentText
  let name: ArgumentText
  /// Larger than those of this worker's earlier notes: one that is sent again counts once.
  let number: Int64
  let delivered: Int64
  let failed: Int64
  let underWay: Int64
  let fault: ArgumentText?

  package func write(to words: inout CommandBuffer) {
    words.word(worker)
    words.word(name)
    words.word(number)
    words.word(delivered)
    words.word(failed)
    words.word(underWay)
    words.word(fault)
  }
}

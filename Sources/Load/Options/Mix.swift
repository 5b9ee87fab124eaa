// Owns: how often the things happen that happen sometimes. A value; any thread.

/// Shares of messages, in percent.
package struct Mix: Sendable, Equatable {
  /// One of the things that happen in a share of all messages.
  package struct Part: Sendable {
    package let name: String
    let field: any WritableKeyPath<Mix, Double> & Sendable
    let meaning: String
  }

  /// The caller asks who holds the device before it locks it.
  package var holder = 100.0
  package var touch = 100.0
  package var say = 100.0
  package var set = 50.0
  package var history = 50.0
  /// A caller of another agent wants the same device at the same time.
  package var rival = 10.0
  /// A caller writes under a token that is over.
  package var stale = 5.0
  package var handoff = 5.0
  package var close = 5.0
  /// The caller never returns.
  package var vanish = 2.0
  /// Conversations whose messages are handled in turns, without a lock.
  package var turns = 40.0
  /// A turn says a message of its own before the answer.
  package var tool = 30.0
  /// Further messages come while a turn is at work.
  package var double = 20.0
  /// The policies of further messages; the rest are rejected or wait.
  package var join = 40.0
  package var interrupt = 20.0
  package var rollback = 15.0
  /// Conversations without lock and turn, whose sessions are ended by their own clocks.
  package var sessions = 20.0
  package var pause = 20.0
  package var chat = 10.0
  /// Chats are added, or a user's sessions opened, until the quota is used up.
  package var quota = 1.0
  package var link = 20.0

  package init() {}

  package static let parts: [Part] = [
    Part(name: "holder", field: \.holder, meaning: "ask who holds the device, before LOCK"),
    Part(name: "touch", field: \.touch, meaning: "note activity"),
    Part(name: "say", field: \.say, meaning: "append a message to the chat"),
    Part(name: "set", field: \.set, meaning: "save fields of the session"),
    Part(name: "history", field: \.history, meaning: "read the last messages"),
    Part(name: "rival", field: \.rival, meaning: "another agent wants the device at that moment"),
    Part(name: "stale", field: \.stale, meaning: "write under a token that is over: must be STALE"),
    Part(name: "handoff", field: \.handoff, meaning: "hand the conversation to another agent"),
    Part(name: "close", field: \.close, meaning: "close the session, unlock, and end"),
    Part(name: "vanish", field: \.vanish, meaning: "go away without a word, and end"),
    Part(name: "turns", field: \.turns, meaning: "of conversations: TURN and DONE, without a lock"),
    Part(name: "tool", field: \.tool, meaning: "say a message in the turn, before the answer"),
    Part(name: "double", field: \.double, meaning: "up to 3 further messages come meanwhile"),
    Part(name: "join", field: \.join, meaning: "of further messages: answered by the same turn"),
    Part(name: "interrupt", field: \.interrupt, meaning: "of further messages: end the turn"),
    Part(name: "rollback", field: \.rollback, meaning: "of further messages: undo the turn, too"),
    Part(name: "sessions", field: \.sessions, meaning: "of conversations: RECOVER, short clocks"),
    Part(name: "pause", field: \.pause, meaning: "there: PAUSE, then RESUME or RECOVER"),
    Part(name: "chat", field: \.chat, meaning: "there: add a chat"),
    Part(
      name: "quota", field: \.quota, meaning: "there: add chats, open sessions until one is refused"
    ),
    Part(name: "link", field: \.link, meaning: "there: link the session, and list by the link"),
  ]

  /// Reads `say=80,vanish=5`; what is not named stays as it is.
  package static func parse(_ text: String) throws(LoadArgumentError) -> Mix {
    var mix = Mix()
    for pair in text.split(separator: ",", omittingEmptySubsequences: false) {
      let sides = pair.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
      guard sides.count == 2 else {
        throw LoadArgumentError("--mix takes NAME=PERCENT with commas between, not '\(pair)'")
      }
      guard let part = parts.first(where: { $0.name == sides[0] }) else {
        let names = parts.map(\.name).joined(separator: ", ")
        throw LoadArgumentError("--mix knows no '\(sides[0])'; there are \(names)")
      }
      guard let share = Double(sides[1]), share >= 0, share <= 100 else {
        throw LoadArgumentError("--mix: \(part.name) takes 0 to 100 percent, not '\(sides[1])'")
      }
      mix[keyPath: part.field] = share
    }
    guard mix.turns + mix.sessions <= 100 else {
      throw LoadArgumentError("--mix: turns and sessions are more than 100 percent together")
    }
    guard mix.join + mix.interrupt + mix.rollback <= 100 else {
      throw LoadArgumentError("--mix: join, interrupt and rollback are more than 100 percent")
    }
    guard mix.close + mix.vanish <= 100 else {
      throw LoadArgumentError("--mix: close and vanish are more than 100 percent together")
    }
    return mix
  }

  /// As `parse` reads it.
  var text: String {
    Mix.parts.map { "\($0.name)=\(Mix.percent(self[keyPath: $0.field]))" }.joined(separator: ",")
  }

  private static func percent(_ share: Double) -> String {
    share == share.rounded() ? NumberText.decimal(share, 0) : NumberText.decimal(share, 2)
  }
}

// Owns: the report of a broken promise. A value; any thread.

/// A promise that was broken, and the observation that shows it.
package struct Violation: Sendable, Equatable {
  /// The promise.
  package enum Rule: String, Sendable, CaseIterable {
    case twoHolders = "two_holders"
    case tokenNotGrowing = "token_not_growing"
    case staleWriteAccepted = "stale_write_accepted"
    case liveTokenRefused = "live_token_refused"
    case messageLost = "message_lost"
    case messageDoubled = "message_doubled"
    case messageOutOfOrder = "message_out_of_order"
    case unknownMessage = "unknown_message"
    case reportedTwice = "abandonment_reported_twice"
    case notReported = "ending_not_reported"
    case reportedTooEarly = "abandonment_reported_too_early"
    case abandonedAfterRelease = "abandoned_after_release"
    case unexplainedEvent = "unexplained_event"
    case sessionLost = "session_lost"
    case twoTurns = "two_turns"
    case turnOutOfOrder = "turn_out_of_order"
    case busyWithoutTurn = "busy_without_turn"
    case answerOutOfTurn = "answer_out_of_turn"
    case joinedUnanswered = "joined_message_unanswered"
    case rolledBackThere = "rolled_back_message_there"
    case changesWrong = "changes_do_not_add_up"
    case acknowledgedAgain = "acknowledged_event_again"
    case groupOutOfOrder = "group_out_of_order"
    case notDelivered = "event_not_delivered"
    case clockTooEarly = "session_clock_too_early"
    case wrongTransition = "session_transition_wrong"
    case deadSessionAccepted = "dead_session_accepted"
    case liveSessionRefused = "live_session_refused"
    case chatNumberReused = "chat_number_reused"
    case quotaWrong = "quota_wrong"
    case listWrong = "list_wrong"

    /// The promise that was broken.
    package var promise: String {
      switch self {
      case .twoHolders: "a device has one holder at a time"
      case .tokenNotGrowing: "a device's tokens only grow"
      case .staleWriteAccepted: "nothing is accepted under a token that is over"
      case .liveTokenRefused: "the holder of a live lock is not refused"
      case .messageLost: "an acknowledged message can be read"
      case .messageDoubled: "a message is there once"
      case .messageOutOfOrder: "messages stand in the order in which they were said"
      case .unknownMessage: "a chat has only what was said in it"
      case .reportedTwice: "an ending is reported once"
      case .notReported: "each ending is reported"
      case .reportedTooEarly: "nothing is abandoned before its deadline"
      case .abandonedAfterRelease: "what was given back is not abandoned too"
      case .unexplainedEvent: "events name what has happened"
      case .sessionLost: "a session that was opened is there"
      case .twoTurns: "a device has one running turn at a time"
      case .turnOutOfOrder: "turns are granted in the order in which callers asked for them"
      case .busyWithoutTurn: "a device without a running turn takes one"
      case .answerOutOfTurn: "a turn's messages stand between its first one and the next turn's"
      case .joinedUnanswered: "a joined message is given to the turn that it was joined to"
      case .changesWrong: "the changes that a watcher gets add up to what HISTORY shows"
      case .acknowledgedAgain: "an event that was acknowledged is not delivered to its group again"
      case .groupOutOfOrder: "a group gets the events of a device in order"
      case .notDelivered: "a group gets each event"
      case .clockTooEarly: "no clock of a session ends before its time"
      case .wrongTransition: "a session's events lead from state to state, each change once"
      case .deadSessionAccepted: "nothing is accepted in a session that was abandoned"
      case .liveSessionRefused: "nothing is refused in a session that lives"
      case .chatNumberReused: "a chat's number comes once, and they grow"
      case .quotaWrong: "a quota is neither exceeded nor refused before it is used up"
      case .listWrong: "a list has the sessions that are linked, and none that is gone"
      case .rolledBackThere: "a rollback removes what the turn has said, and all of it"
      }
    }
  }

  package let rule: Rule
  package let text: String
  /// When it was seen, by this machine's monotonic clock.
  package let atNs: Int64

  package init(_ rule: Rule, _ text: String, atNs: Int64) {
    self.rule = rule
    self.text = text
    self.atNs = atNs
  }
}

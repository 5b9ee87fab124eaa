// Owns: what a caller concludes from a reply: whose the lock is now, and whether there is a point
// in going on. Runs on the loop's thread.

extension Visit {
  /// How often a caller asks again after HELD or BUSY.
  private static let triesMax = 8
  /// How many messages that were joined to it a turn answers before it ends all the same.
  private static let donesMax = 4

  /// Takes note of the outcome of a step.
  func learn(_ outcome: LoadOutcome, _ reply: ReplyLine) {
    switch role {
    case .message where conversation.kind == .sessions: learnInSession(outcome)
    case .message where conversation.kind == .turns, .second: learnInTurn(outcome, reply)
    case .message: learnAsHolder(outcome, reply)
    case .rival:
      guard step == .lock, case .granted(let token, _, _, _) = outcome else { return }
      // It wanted to see whether it could; now it leaves the device to its owner.
      ownToken = token
      steps.insert(.unlock)
    case .sleeper, .check: return
    }
  }

  private func learnAsHolder(_ outcome: LoadOutcome, _ reply: ReplyLine) {
    let conversation = conversation
    switch (step, outcome) {
    case (.stale, _), (.holder, _), (.history, .messages): return
    case (.lock, .granted(let token, let agent, _, _)),
      (.handoff, .granted(let token, let agent, _, _)):
      conversation.held(token, by: agent)
      asked = 0
    case (.lock, .held): askAgain(.lock)
    case (.open, .done): conversation.request.session = reply.session
    case (.unlock, _):
      conversation.lost()
    case (_, .done), (_, .said): return
    case (_, .held), (_, .none), (_, .stale):
      conversation.lost()
      leave()
    default: leave()
    }
  }

  private func learnInTurn(_ outcome: LoadOutcome, _ reply: ReplyLine) {
    let conversation = conversation
    switch (step, outcome) {
    case (.stale, _), (.say, .said): return
    case (.turn, .began(let grant)):
      turn = grant.turn
      conversation.request.session = grant.session
      asked = 0
      // This caller never comes back.
      if !steps.contains(.done) { conversation.overTurn = turn }
    case (.turn, .busy): askAgain(.turn)
    // The turn that is running answers it.
    case (.turn, .joined): steps = []
    case (.touch, .done):
      if reply.joined > 0, conversation.readsJoined() { steps.insert(.history) }
    case (.history, .messages(let messages)): seen = messages.last?.seq ?? seen
    case (.done, .goesOn):
      asked += 1
      isLastDone = asked >= Visit.donesMax
      steps.insert(.done)
    case (.done, .ended): conversation.overTurn = turn
    case (_, .stale):
      // Another message has interrupted it, which is then the one to be answered.
      conversation.overTurn = turn
      wasInterrupted = true
      steps = []
    default: leave()
    }
  }

  private func learnInSession(_ outcome: LoadOutcome) {
    let conversation = conversation
    switch (step, outcome) {
    case (.recover, .session(let shown)):
      if let known = conversation.request.session, known != shown.session {
        // The clocks have ended the one before; its conversation is over with it.
        conversation.cutShort()
        leave()
      } else {
        conversation.request.session = shown.session
      }
    // One more, until the quota is used up.
    case (.chat, .chatAdded): if conversation.fillsChats { steps.insert(.chat) }
    case (.fill, .done): steps.insert(.fill)
    // A clock may have come first.
    case (.pause, .wrongState), (.resume, .wrongState): return
    case (_, .overQuota), (_, .session), (_, .touched), (_, .said), (_, .messages),
      (_, .listed), (_, .done):
      return
    default: leave()
    }
  }

  private func askAgain(_ step: Steps) {
    asked += 1
    if asked < Visit.triesMax { steps.insert(step) } else { leave() }
  }

  /// The rest of the message makes no sense any more.
  private func leave() {
    steps = []
    asked = 0
    hasGivenUp = true
  }
}

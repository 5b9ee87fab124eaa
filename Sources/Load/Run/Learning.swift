// Owns: what a caller concludes from a reply: whose the lock is now, and whether there is a point
// in going on. Runs on the loop's thread.

extension Visit {
  /// How often a caller asks again after HELD.
  private static let lockTriesMax = 8

  /// Takes note of the outcome of a step.
  func learn(_ outcome: LoadOutcome, _ reply: ReplyLine) {
    switch role {
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
      lockTries = 0
    case (.lock, .held):
      lockTries += 1
      if lockTries < Visit.lockTriesMax { steps.insert(.lock) } else { leave() }
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

  /// The rest of the message makes no sense any more.
  private func leave() {
    steps = []
    lockTries = 0
  }
}

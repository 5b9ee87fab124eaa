// Owns: the checks of conversations that are over: their locks expire, their events are awaited and
// looked up in the log, their messages are read once more, their sessions are deleted, and the
// verdict is given. Runs on the loop's thread.

internal import Loop

/// The callbacks of an auditor.
protocol AuditorOwner: VisitOwner {
  var watch: EventWatch? { get }
  var counts: RunCounts { get set }
  var lastTroubleNs: Int64 { get }
  func abandonmentReported(_ event: LockEvent, nowNs: Int64)
}

/// The conversations that are over and not yet judged, and all others by number.
final class Auditor {
  /// How many visits run at once.
  private static let visitsMax = 8
  /// Of the conversations that need no look into the log, one in so many gets one.
  private static let sampleEvery = 8
  /// So often at most: reading the log of one device costs Redis more than a request.
  private static let sampleGapNs: Int64 = 50_000_000
  /// How long the watch is given before the log is asked.
  private static let watchAllowanceNs: Int64 = 400_000_000
  /// How long after its verdict a conversation is kept: its events still count.
  private static let lingeringNs: Int64 = 5_000_000_000

  private unowned let owner: any AuditorOwner
  private var known: [Int: Conversation] = [:]
  private var over: [Conversation] = []
  /// The conversations that wait for an auditor, oldest first, from `queueHead` on.
  private var queue: [Conversation] = []
  private var queueHead = 0
  private var free: [Visit]
  private var lastSampleNs: Int64 = 0
  /// Those that were judged, oldest first, and until when they are kept.
  private var lingering: [(number: Int, untilNs: Int64)] = []
  private(set) var latestDeadlineNs: Int64 = 0

  init(owner: any AuditorOwner) {
    self.owner = owner
    free = []
    for _ in 0..<Auditor.visitsMax { free.append(Visit(.check, owner: owner)) }
  }

  var isEmpty: Bool { over.isEmpty }
  var count: Int { over.count }

  func know(_ conversation: Conversation) { known[conversation.number] = conversation }

  func take(_ conversation: Conversation, _ nowNs: Int64) { over.append(conversation) }

  /// Closes what is open.
  func stop() {
    for visit in free { visit.drop() }
    for conversation in over {
      conversation.rival?.drop()
      for visit in conversation.seconds { visit.drop() }
    }
  }

  // MARK: - Events

  func reported(_ number: Int, _ event: LockEvent, watch: Int, nowNs: Int64) {
    guard let conversation = known[number] else { return }
    let before = conversation.check.abandonments
    if let violation = conversation.check.reported(event, nowNs: nowNs, watch: watch) {
      owner.broken(violation, in: conversation)
      return
    }
    guard conversation.check.abandonments > before else { return }
    owner.counts.abandonments += 1
    if watch > 0 {
      owner.abandonmentReported(event, nowNs: nowNs)
    } else {
      owner.counts.onlyInLog += 1
    }
  }

  func delivered(
    _ number: Int, _ event: LockEvent, askedNs: Int64, isInOrder: Bool, nowNs: Int64
  ) {
    guard let conversation = known[number] else { return }
    if let violation = conversation.check.delivered(
      event, askedNs: askedNs, isInOrder: isInOrder, nowNs: nowNs)
    {
      owner.broken(violation, in: conversation)
    }
  }

  func acknowledged(_ number: Int, _ id: String, nowNs: Int64) {
    known[number]?.check.acknowledged(id, nowNs: nowNs)
  }

  func pushed(_ number: Int, _ change: PushedChange, nowNs: Int64) {
    known[number]?.check.pushed(change, nowNs: nowNs)
  }

  /// Whether the changes of a conversation add up.
  ///
  /// It is broken if they do not for too long. Where some may be lost they are not waited for.
  private func isPushed(_ conversation: Conversation, _ nowNs: Int64) -> Bool {
    guard let watch = owner.watch, watch.changesSinceNs <= conversation.beganNs,
      !conversation.check.addsUp
    else { return true }
    let sinceNs = nowNs - max(conversation.check.pushes.readNs, owner.lastTroubleNs)
    if sinceNs > owner.options.patienceMs * 1_000_000,
      let violation = conversation.check.changesVerdict(nowNs: nowNs)
    {
      owner.broken(violation, in: conversation)
    }
    return false
  }

  /// Whether the group has got all events of a conversation.
  ///
  /// It is broken if they are missing for too long. After a consumer was lost they are not waited
  /// for.
  private func isDelivered(_ conversation: Conversation, _ nowNs: Int64) -> Bool {
    guard owner.options.group != nil, owner.counts.consumersLost == 0,
      !conversation.check.undelivered.isEmpty
    else { return true }
    let sinceNs = nowNs - max(conversation.check.latestEventNs, owner.lastTroubleNs)
    if sinceNs > owner.options.patienceMs * 1_000_000,
      let violation = conversation.check.groupVerdict(nowNs: nowNs)
    {
      owner.broken(violation, in: conversation)
    }
    return false
  }

  // MARK: - Visits

  func look(_ nowNs: Int64) {
    for conversation in over where !conversation.isBeingChecked && !conversation.isBusy {
      guard nowNs >= conversation.nextLookNs else { continue }
      if let pauseNs = pauseNs(conversation, nowNs) {
        conversation.nextLookNs = nowNs + pauseNs
      } else if !wakesSleeper(conversation, nowNs) {
        enqueue(conversation, nowNs)
      }
    }
    while let visit = free.last, startNext(visit, nowNs) { free.removeAll { $0 === visit } }
  }

  /// Sets a free auditor to work; false if there is none to do.
  private func startNext(_ visit: Visit, _ nowNs: Int64) -> Bool {
    guard queueHead < queue.count else {
      queue.removeAll(keepingCapacity: true)
      queueHead = 0
      return false
    }
    let conversation = queue[queueHead]
    queueHead += 1
    visit.start(conversation, conversation.agent, conversation.auditSteps, dueNs: nowNs)
    return true
  }

  /// How long it makes no sense to look; nil if it does now.
  private func pauseNs(_ conversation: Conversation, _ nowNs: Int64) -> Int64? {
    guard let overNs = conversation.check.overByNs else { return nil }
    latestDeadlineNs = max(latestDeadlineNs, overNs)
    if nowNs < overNs { return overNs - nowNs }
    if conversation.wantsSleeper || conversation.check.allIsReported { return nil }
    let sinceNs = nowNs - overNs
    return sinceNs < Auditor.watchAllowanceNs ? 100_000_000 : nil
  }

  /// A caller that vanished comes back after the deadline and writes under the old token.
  private func wakesSleeper(_ conversation: Conversation, _ nowNs: Int64) -> Bool {
    guard conversation.wantsSleeper else { return false }
    conversation.wantsSleeper = false
    guard let (agent, step) = conversation.sleeper, conversation.request.session != nil else {
      return false
    }
    owner.counts.sleepers += 1
    let visit = Visit(.sleeper, owner: owner)
    conversation.rival = visit
    visit.start(conversation, agent, step, dueNs: nowNs)
    return true
  }

  private func enqueue(_ conversation: Conversation, _ nowNs: Int64) {
    conversation.isBeingChecked = true
    var steps: Steps = []
    if needsLog(conversation, nowNs) { steps.insert(.events) }
    if !conversation.chatIsChecked, conversation.request.session != nil {
      steps.formUnion([.readAll, .delete])
      if conversation.kind == .sessions { steps.insert(.listGone) }
    }
    guard steps.isEmpty else {
      conversation.auditSteps = steps
      queue.append(conversation)
      return
    }
    judge(conversation, nowNs)
  }

  private func needsLog(_ conversation: Conversation, _ nowNs: Int64) -> Bool {
    if !conversation.check.allIsReported || conversation.check.overByNs != nil { return true }
    guard let sinceNs = owner.watch?.sinceNs, sinceNs <= conversation.beganNs else { return true }
    guard conversation.number % Auditor.sampleEvery == 0,
      nowNs - lastSampleNs >= Auditor.sampleGapNs
    else { return false }
    lastSampleNs = nowNs
    return true
  }

  // MARK: - Verdicts

  /// The reply to one of the auditor's own requests.
  func learned(_ visit: Visit, _ outcome: LoadOutcome, _ reply: ReplyLine, _ nowNs: Int64) {
    let conversation = visit.conversation
    switch visit.step {
    case .events:
      owner.counts.logsRead += 1
      for event in reply.events {
        reported(conversation.number, event, watch: 0, nowNs: nowNs)
        conversation.lastEventID = event.id
      }
      if !visit.failed { conversation.logReadNs = nowNs }
    case .delete: conversation.chatIsChecked = true
    default: break
    }
  }

  func checked(_ visit: Visit, _ nowNs: Int64) {
    if visit.failed {
      lookAgain(visit.conversation, nowNs)
    } else {
      judge(visit.conversation, nowNs)
    }
    if !startNext(visit, nowNs) { free.append(visit) }
  }

  private func lookAgain(_ conversation: Conversation, _ nowNs: Int64) {
    conversation.isBeingChecked = false
    conversation.nextLookNs = nowNs + 500_000_000
  }

  private func judge(_ conversation: Conversation, _ nowNs: Int64) {
    if !conversation.check.allIsReported {
      // Time in which no worker answered does not count.
      let fromNs = max(conversation.check.overByNs ?? nowNs, owner.lastTroubleNs)
      guard let readNs = conversation.logReadNs,
        readNs - fromNs >= owner.options.patienceMs * 1_000_000
      else {
        lookAgain(conversation, nowNs)
        return
      }
    }
    guard isDelivered(conversation, nowNs), isPushed(conversation, nowNs) else {
      lookAgain(conversation, nowNs)
      return
    }
    if let violation = conversation.check.verdict(nowNs: nowNs) {
      owner.broken(violation, in: conversation)
      return
    }
    owner.counts.checked += 1
    owner.counts.unverifiable += conversation.check.unverifiable
    lingering.append((conversation.number, nowNs + Auditor.lingeringNs))
    conversation.isBeingChecked = true
    conversation.isJudged = true
    hasJudged = true
  }

  private var hasJudged = false

  /// Forgets those that were judged; not while the list is being walked.
  func sweep(_ nowNs: Int64) {
    let gone = lingering.prefix { $0.untilNs < nowNs }
    for entry in gone { known[entry.number] = nil }
    lingering.removeFirst(gone.count)
    guard hasJudged else { return }
    hasJudged = false
    over.removeAll { $0.isJudged }
  }
}

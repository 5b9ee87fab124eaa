// Owns: how the delivery reads the groups of hooks, and what becomes of an event: sent,
// acknowledged, tried again or given back. Runs on the thread of the hooks.

internal import Events
internal import Loop
internal import Metrics
internal import RedisConnection
internal import Scripts
internal import SessionModel
internal import Store
internal import Webhooks
internal import Wire

// MARK: Reading

extension HookDelivery {
  /// So many partitions are read in a call, and so many events.
  private static let partitionsMax = 64
  private static let pageMax = 256

  /// Sends the next read of a hook, if there is something to look at and room for it.
  func read(_ work: HookWork) {
    let nowMs = loop.nowMs
    guard !isDraining, work.isServed, !work.isReading, nowMs >= work.retryAtMs,
      work.queue.room > 0, store.isReady
    else { return }
    let partitions = work.toRead(owned, nowMs: nowMs, most: HookDelivery.partitionsMax)
    guard !partitions.isEmpty else { return }
    let isNoted = nowMs - work.notedAtMs >= setup.noteEveryMs
    if isNoted { work.noteBegins(partitions, nowMs: nowMs) }
    work.readBegan(nowMs: nowMs)
    let request = ReadHookCall(
      group: work.group, worker: setup.workerID,
      limit: Int64(min(work.queue.room, HookDelivery.pageMax)), isMade: nowMs < work.makesUntilMs,
      isNoted: work.isNoting(partitions), revision: work.kept.revision, lostMax: work.lostMax)
    calls += 1
    store.callEach(ScriptQuery(request, over: partitions)) { [unowned self] partitions, result in
      received(result, of: partitions, work)
    } _: { [unowned self] in
      calls -= 1
      work.readEnded()
      advance(work)
    }
  }

  private func received(
    _ result: Result<RedisReply, RedisFailure>, of partitions: [Partition], _ work: HookWork
  ) {
    guard case .success(let reply) = result, reply.kind == .array else {
      work.retryAtMs = loop.nowMs + HookDelivery.retryMs
      if case .success(let reply) = result {
        setup.log.repeated(
          .warn, "the events of a hook cannot be read", cause: StoreError.firstWord(reply.text),
          ["error": reply.text])
      }
      return
    }
    for (partition, part) in zip(partitions, reply.elements) where part.count == 3 {
      guard let state = part[0].integer.flatMap({ HookReadState(rawValue: $0) }) else { continue }
      work.looked(partition, state, nowMs: loop.nowMs)
      if state == .corrupt { setup.log.corruptEventLog(of: partition) }
      if state == .tooManyGroups {
        work.fault = "there are as many groups of the logs as there may be"
      }
      if state == .superseded {
        work.supersededBy = max(work.supersededBy, Int64(part[2][0].text) ?? 0)
        continue
      }
      if part[1].integer == 1 || part[2].count > 0 {
        work.hold.tookEvents(of: partition, readAtMs: work.readAtMs)
      }
      if part[1].integer == 1 { takeLoss(partition, work) }
      take(part[2], of: partition, work)
    }
    if work.supersededBy > 0 { lookAgain() }
  }

  /// Takes what a partition has for a hook; what it does not want is done.
  private func take(_ entries: RedisReply, of partition: Partition, _ work: HookWork) {
    // It was removed, and its group with it.
    guard works[work.name] === work else { return }
    // Nor is it known what it wants, if its definition can be read no more; and the partition may
    // be another worker's by now.
    guard let hook = work.target?.hook, owned.contains(partition) else {
      let ids = entries.elements.compactMap { StreamID($0[0].text) }
      return giveBack(work, ids.map { EventID(partition: partition, entry: $0) })
    }
    for entry in entries.elements {
      guard let id = StreamID(entry[0].text) else { continue }
      let eventID = EventID(partition: partition, entry: id)
      guard let event = FleetEvent(partition, entry, setup.seal),
        hook.wants(type: event.type, device: event.device)
      else {
        work.done.append(eventID)
        continue
      }
      let json = event.line.dropFirst("EVENT ".utf8.count).dropLast()
      work.queue.take(
        HookEvent(id: eventID, device: event.device, type: event.type, json: Array(json)))
    }
  }

  private func takeLoss(_ partition: Partition, _ work: HookWork) {
    guard works[work.name] === work else { return }
    let event = loss(partition)
    guard owned.contains(partition) else { return giveBack(work, [event.id]) }
    work.queue.take(event)
  }

  /// The news that a hook has lost events of a partition.
  private func loss(_ partition: Partition) -> HookEvent {
    let json =
      "{\"type\":\"events.lost\",\"partition\":\"\(partition.tag)\",\"at\":\(WallTime.nowMs())}"
    return HookEvent(
      id: EventID(partition: partition, entry: .zero), device: [],
      type: Array("events.lost".utf8), json: Array(json.utf8))
  }
}

// MARK: Sending

extension HookDelivery {
  func send(_ event: HookEvent, _ work: HookWork) {
    guard let sender = work.sender, let target = work.target else {
      work.queue.gaveUp(event)
      return giveBack(work, [event.id])
    }
    let request = WebhookRequest(
      event.cloudEvent, source: setup.source, to: target.address, secret: target.hook.secret,
      unixSeconds: WallTime.nowMs() / 1_000, timeoutMs: setup.timeoutMs)
    let beganAtMs = loop.nowMs
    work.tickets[event.id] = sender.post(request) { [unowned self] outcome in
      work.tickets[event.id] = nil
      setup.gauges.latencyMs.add(Int(loop.nowMs - beganAtMs))
      answered(event, outcome, work)
      advance(work)
    }
  }

  private func answered(_ event: HookEvent, _ outcome: WebhookOutcome, _ work: HookWork) {
    guard let problem = outcome.problem else { return delivered(event, work) }
    work.failed += 1
    work.fault = problem
    setup.log.repeated(
      .warn, "a hook's receiver did not take an event", cause: work.name,
      ["hook": work.name, "error": problem])
    guard owned.contains(event.id.partition) else {
      work.queue.gaveUp(event)
      return giveBack(work, [event.id])
    }
    work.queue.failed(event, nowMs: loop.nowMs) { attempts in
      var source = SystemRandomNumberGenerator()
      var afterMs: Int64?
      if case .refused(_, let ms) = outcome { afterMs = ms }
      return RetryDelays.delayMs(afterAttempts: attempts, retryAfterMs: afterMs, using: &source)
    }
  }

  private func delivered(_ event: HookEvent, _ work: HookWork) {
    work.delivered += 1
    work.queue.delivered(event)
    guard event.isLoss else {
      setup.gauges.lagMs.add(max(0, Int(WallTime.nowMs() - Int64(event.id.entry.ms))))
      return work.done.append(event.id)
    }
    transfer(work, [event.id], to: GroupTarget.given.rawValue)
    work.queue.settled([event.id])
  }

  /// Acknowledges what is done, one call at a time.
  func acknowledge(_ work: HookWork) {
    guard !work.isAcknowledging, !work.done.isEmpty, store.isReady else { return }
    let ids = Array(work.done.prefix(HookDelivery.idsMax))
    work.done.removeFirst(ids.count)
    work.isAcknowledging = true
    let request = AckHookCall(
      group: work.group, made: work.kept.revision.made, ids: ids.map(\.entry.description))
    call(ScriptQuery(request, over: ids.map(\.partition))) { [unowned self] result in
      work.isAcknowledging = false
      guard case .success(let reply) = result, reply.integer != nil else {
        // An acknowledgement that was made already is none the second time.
        work.done = ids + work.done
        return
      }
      work.queue.settled(ids)
      advance(work)
    }
  }
}

extension HookEvent {
  /// As receivers get it.
  fileprivate var cloudEvent: CloudEvent {
    let type = String(decoding: type, as: UTF8.self)
    guard isLoss else {
      return CloudEvent(id: id.description, type: type, device: device, data: json)
    }
    // Another loss of the partition is another event.
    let digits = json.reversed().drop { $0 == UInt8(ascii: "}") }.prefix { $0 != UInt8(ascii: ":") }
    let at = String(decoding: digits.reversed(), as: UTF8.self)
    return CloudEvent(id: "\(id.partition.tag)-lost-\(at)", type: type, device: nil, data: json)
  }
}

// Owns: one call over partitions of several nodes: its parts, and how their replies become one.
// Runs on its loop's thread.

internal import RedisConnection
internal import Scripts
internal import SessionModel

/// A call whose partitions several nodes have.
final class PartsCall {
  private let nodes: Nodes
  private let query: ScriptQuery
  private let keys: StoreKeys
  private let untilMs: Int64
  private let done: Nodes.Done
  /// The replies by places of partitions, where there is one for each.
  private var elements: [MergedReply?]
  /// The replies of the parts, where each has one for all of its partitions.
  private var replies: [MergedReply] = []
  private var failure: RedisFailure?
  /// An error reply of a part.
  private var error: MergedReply?
  private var running = 0
  private var isBegun = false
  /// The pages of a group, where such are read.
  private var pages = PageMerge()
  /// The places whose partitions the page has waited for.
  private var waitedFor: Set<Int> = []

  init(
    _ nodes: Nodes, _ query: ScriptQuery, _ keys: StoreKeys, untilMs: Int64,
    _ done: @escaping Nodes.Done
  ) {
    (self.nodes, self.query, self.keys, self.untilMs, self.done) = (
      nodes, query, keys, untilMs, done
    )
    elements = Array(repeating: nil, count: query.partitions.count)
  }

  /// Asks the nodes; for partitions whose requests wait for a slot after these.
  func begin() {
    let all = Array(query.partitions.indices)
    // The first page with events ends the read: each has as many as the caller asks for.
    if query.script == .readGroup {
      let held = all.filter { nodes.isHeld(query.partitions[$0].index) }
      guard held.isEmpty else { return waitFor(held) }
      return readPage(nodes.groups(query.partitions, all)[...])
    }
    askAll(all)
    isBegun = true
    finishIfDone()
  }

  /// Asks about partitions, of which those with requests that wait come behind these.
  private func askAll(_ places: [Int]) {
    let held = places.filter { nodes.isHeld(query.partitions[$0].index) }
    let free = held.isEmpty ? places : places.filter { !nodes.isHeld(query.partitions[$0].index) }
    for places in nodes.groups(query.partitions, free) { ask(places) }
    // One by one: of two slots that move one may have arrived.
    for place in held { askAgain([place], .held) }
  }

  private func ask(_ places: [Int]) {
    running += 1
    nodes.ask(part: query.part(places), keys, untilMs: untilMs) { [self] result in
      running -= 1
      took(result, places)
      finishIfDone()
    }
  }

  private func took(_ result: Result<RedisReply, RedisFailure>, _ places: [Int]) {
    switch result {
    case .failure(.overtaken): askAgain(places, .takenBack)
    case .failure(let failure):
      // That of a part which may have been done counts more.
      if case .noAnswer = failure { self.failure = failure }
      self.failure = self.failure ?? failure
    case .success(let reply) where reply.kind == .error:
      if case .elsewhere = StoreError(reply.text) { return askAgain(places, .returned) }
      error = MergedReply(copying: reply)
    case .success(let reply) where ReplyMerge(query.script) != .elements:
      replies.append(MergedReply(copying: reply))
    case .success(let reply) where reply.count == places.count:
      var again: [Int] = []
      for (place, element) in zip(places, reply.elements) {
        if element.isElsewhere {
          again.append(place)
          nodes.slotMoves(query.partitions[place].index)
        } else {
          elements[place] = MergedReply(copying: element)
        }
      }
      if !again.isEmpty { askAgain(again, .returned) }
    case .success(let reply):
      error = MergedReply(copying: reply)
    }
  }

  /// The slots of these have moved, or do so, or requests before these wait for them: nothing was
  /// done for them.
  private func askAgain(_ places: [Int], _ origin: ParkedCalls.Origin) {
    running += 1
    park(places, origin) { [self] in
      askAll(places)
      running -= 1
      finishIfDone()
    } fail: { [self] in
      running -= 1
      failure = failure ?? Self.noNode
      finishIfDone()
    }
  }

  private static let noNode = RedisFailure.notSent("a slot has no node at the moment")

  /// Waits for the slots of these, behind the requests that do; those are sent first.
  private func park(
    _ places: [Int], _ origin: ParkedCalls.Origin, resend: @escaping () -> Void,
    fail: (() -> Void)? = nil
  ) {
    nodes.park(
      ParkedCalls.Entry(
        partitions: places.map { query.partitions[$0] },
        untilMs: untilMs - nodes.setup.requestTimeoutMs / 5,
        resend: { [self] in
          for node in nodes.all { node.sendWaiting() }
          resend()
        },
        fail: fail ?? { [self] in done(.failure(Self.noNode)) }),
      origin)
  }

  private func finishIfDone() {
    guard isBegun, running == 0 else { return }
    isBegun = false
    if let failure {
      guard case .notSent(let reason) = failure, !query.script.isReadOnly,
        !replies.isEmpty || elements.contains(where: { $0 != nil })
      else { return done(.failure(failure)) }
      return done(.failure(.noAnswer(reason)))
    }
    let merged = error ?? ReplyMerge(query.script).merged(elements, replies)
    merged.lend { done(.success($0)) }
  }

  // MARK: Pages of groups

  /// Begins again once requests of these partitions do not wait any more, and of those that were
  /// waited for before: it keeps its turn there.
  private func waitFor(_ places: [Int], _ origin: ParkedCalls.Origin = .held) {
    waitedFor.formUnion(places)
    park(waitedFor.sorted(), origin) { [self] in begin() }
  }

  private func readPage(_ groups: ArraySlice<[Int]>) {
    let held = groups.first?.filter { nodes.isHeld(query.partitions[$0].index) } ?? []
    if !held.isEmpty, pages.page == nil { return waitFor(held) }
    guard held.isEmpty, let places = groups.first else {
      guard let page = pages.page else {
        return done(.failure(failure ?? .notSent("no node of the cluster can be asked")))
      }
      return page.lend { done(.success($0)) }
    }
    nodes.ask(part: query.part(places), keys, untilMs: untilMs) { [self] result in
      guard case .success(let reply) = result, reply.kind == .array, pages.isPage(reply) else {
        // What the nodes before it have given counts; the others are read next time.
        if pages.page != nil { return readPage([]) }
        if case .failure(.overtaken) = result { return waitFor(places, .takenBack) }
        return missed(result, groups.dropFirst())
      }
      let isOver = pages.add(reply, places)
      readPage(isOver ? [] : groups.dropFirst())
    }
  }

  /// A node gave no page, and those before it have none either: the next ones may.
  private func missed(_ result: Result<RedisReply, RedisFailure>, _ left: ArraySlice<[Int]>) {
    switch result {
    case .failure(let failure): self.failure = failure
    case .success(let reply):
      guard reply.kind == .error, case .elsewhere(let word) = StoreError(reply.text) else {
        return done(result)
      }
      failure = .notSent("a slot has no node at the moment (\(word))")
    }
    readPage(left)
  }
}

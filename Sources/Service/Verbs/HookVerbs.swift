// HOOK, HOOKS and UNHOOK: webhooks, which send each event of the logs to an address.

internal import Access
internal import Hooks
internal import Loop
internal import RedisConnection
internal import Scripts
internal import Seal
internal import SessionModel
internal import Settings
internal import Store
internal import Webhooks
internal import Wire

enum HookVerb {
  static let verb = Verb(
    name: "HOOK", rights: .operate, words: [.hook],
    options: [.url, .secret, .types, .devices], required: [.url],
    summary: "Sends each event to an address by HTTP POST, until that answers with 2xx.",
    reach: .everyDevice, replies: ["OK"]
  ) { (call) throws(RequestError) in
    let hook = try definition(call)
    let set = SetHookCall(
      name: ArgumentText(hook.name), definition: .owned(StoredHook.text(hook, call.shared.seal)),
      hooksMax: HookDefinition.hooksMax)
    let setting = HookSetting(request: try HeldRequest(call), worker: call.shared.workerID, hook)
    setting.begin(set)
  }

  private static func definition(_ call: borrowing Call) throws(RequestError) -> HookDefinition {
    let url = call.text(.url)
    let address = try address(url, call.shared.settings)
    let devices = call.option(.devices).map { _ in
      // Where devices are UUIDs, they are written in small letters.
      call.shared.settings.deviceIDs == .uuid
        ? call.text(.devices).lowercased()
        : call.text(.devices)
    }
    guard
      let hook = HookDefinition(
        name: call.text(0), url: url, shownURL: address.shown,
        secret: call.option(.secret).map { Array($0) },
        types: try call.types?.map(\.rawValue), devices: devices, madeAtMs: WallTime.nowMs())
    else {
      throw RequestError(
        .badRequest, "devices= is no pattern: it has the characters of an id, and * for any")
    }
    return hook
  }

  /// The address itself is in no error: parts of it may be secret.
  private static func address(
    _ url: String, _ settings: Settings
  ) throws(RequestError) -> WebhookAddress {
    do throws(WebhookError) { _ = try CurlLibrary.shared() } catch {
      throw RequestError(.unavailable, error.description)
    }
    do throws(WebhookError) {
      let policy = AddressPolicy(
        allowsPrivate: settings.allowsPrivateHooks, allowsLoopback: settings.allowsLoopbackHooks)
      return try WebhookAddress(url, policy)
    } catch {
      throw RequestError(.badRequest, "url= \(error)")
    }
  }
}

/// What set_hook.lua says: HOOK, the word for the caller, and revisions.
private struct HookAnswer {
  let word: String
  let revisions: [Int64]

  /// Nil if it is another line.
  init?(_ line: UnsafeBufferPointer<UInt8>) {
    let words = String(decoding: line, as: UTF8.self).split(separator: " ").map(String.init)
    guard words.count > 2, words[0] == "HOOK" else { return nil }
    word = words[1]
    revisions = words.dropFirst(2).compactMap { Int64($0) }
    guard revisions.count == words.count - 2 else { return nil }
  }
}

/// One HOOK on its way: the definition is kept, then its group is made in each partition.
private struct HookSetting {
  let request: HeldRequest
  private let worker: String
  private let hook: HookDefinition

  /// So many partitions get their group in one step.
  private static let partitionsMax = 64

  init(request: HeldRequest, worker: String, _ hook: HookDefinition) {
    (self.request, self.worker, self.hook) = (request, worker, hook)
  }

  func begin(_ set: SetHookCall) {
    request.store.call(
      ScriptQuery(set, at: Keyspace.figures), timeoutMs: request.stepMs
    ) { outcome in
      guard case .line(let line, _) = outcome, let answer = HookAnswer(line), answer.word == "OK",
        let made = answer.revisions.first, let changed = answer.revisions.last
      else { return request.end(outcome) }
      makeGroup(from: 0, HookRevision(made: made, changed: changed))
    }
  }

  /// Makes the group in the partitions from this one on, and has it read by the new definition: so
  /// a worker that has a former one reads no event that is published after the reply.
  private func makeGroup(from first: Int, _ revision: HookRevision) {
    guard first < Partition.count else { return request.end(Array("OK".utf8)) }
    let last = min(Partition.count, first + HookSetting.partitionsMax)
    let call = ReadHookCall(
      group: hook.group, worker: worker, limit: 0, isMade: true, isNoted: true,
      revision: revision, lostMax: 0)
    request.store.call(
      raw: ScriptQuery(call, over: (first..<last).map { Partition(index: $0) }),
      timeoutMs: request.stepMs
    ) { result in
      guard case .success(let reply) = result, reply.kind == .array else {
        // Workers make what is missing: the hook is there.
        return request.end(.failed(HookSetting.unfinished))
      }
      let isFull = reply.elements.contains {
        $0.count == 3 && $0[0].integer == HookReadState.tooManyGroups.rawValue
      }
      guard isFull else { return makeGroup(from: last, revision) }
      remove()
    }
  }

  private static let unfinished = RequestError(
    .unknownOutcome, "the hook is kept, but not every log may have its group yet; send it again")

  /// There is no room for its group.
  private func remove() {
    HookRemoval(request: request, name: hook.name).begin { _ in
      let most = ReadHookCall.groupsMax
      request.end(
        .failed(RequestError.quota(Int(most), of: Int(most), "groups of the logs")))
    }
  }
}

enum UnhookVerb {
  static let verb = Verb(
    name: "UNHOOK", rights: .operate, words: [.hook],
    summary: "Ends a hook; what it has not delivered is forgotten.", reach: .everyDevice,
    replies: ["OK", "NONE"]
  ) { (call) throws(RequestError) in
    let request = try HeldRequest(call)
    HookRemoval(request: request, name: call.text(0)).begin { request.end($0) }
  }
}

/// The removal of a hook on its way: of its definition, then of its group.
private struct HookRemoval {
  let request: HeldRequest
  let name: String

  /// `done` gets the outcome: OK or NONE, if that is known.
  func begin(_ done: @escaping (ScriptOutcome) -> Void) {
    let call = SetHookCall(
      name: ArgumentText(name), definition: nil, hooksMax: HookDefinition.hooksMax)
    request.store.call(
      ScriptQuery(call, at: Keyspace.figures), timeoutMs: request.stepMs
    ) { outcome in
      guard case .line(let line, _) = outcome, let answer = HookAnswer(line),
        let revision = answer.revisions.first
      else { return done(outcome) }
      dropGroup(answer.word, madeMax: revision, done)
    }
  }

  /// Also where there was no definition: the next UNHOOK finishes one that was interrupted.
  ///
  /// A HOOK that comes in between has made another group, which stays.
  private func dropGroup(
    _ word: String, madeMax: Int64, _ done: @escaping (ScriptOutcome) -> Void
  ) {
    let call = DropGroupCall(group: HookDefinition.group(of: name), madeMax: madeMax)
    request.store.call(
      raw: ScriptQuery(call, over: Partition.all), timeoutMs: request.stepMs
    ) { result in
      guard case .success(let reply) = result, reply.integer != nil else {
        let text = "the hook is removed, but its group may be in some logs still; send it again"
        return done(.failed(RequestError(.unknownOutcome, text)))
      }
      Array(word.utf8).withUnsafeBufferPointer { done(.line($0)) }
    }
  }
}

enum HooksVerb {
  static let verb = Verb(
    name: "HOOKS", rights: .operate,
    summary: "The webhooks: where each sends which events, and how far it is behind.",
    reach: .everyDevice, replies: ["OK"], onlyReads: true
  ) { (call) throws(RequestError) in
    let request = try HeldRequest(call)
    let seal = call.shared.seal
    request.store.call(
      raw: ScriptQuery(HooksCall(), at: Keyspace.figures), timeoutMs: request.stepMs
    ) { result in
      switch result {
      case .failure(let error): request.end(.failed(error))
      case .success(let reply):
        guard let listing = HookListing(reply) else {
          return request.end(.failed(request.store.refusal(of: reply, .hooks)))
        }
        HookLags(request: request, seal).next(listing)
      }
    }
  }
}

/// The lags of hooks, which are read a few partitions a step.
private struct HookLags {
  let request: HeldRequest
  private let seal: Seal?
  private var counts: [String: Int64] = [:]
  private var oldest: [String: Int64] = [:]
  private var partition = 0

  private static let partitionsMax = 32

  init(request: HeldRequest, _ seal: Seal?) {
    (self.request, self.seal) = (request, seal)
  }

  /// Reads the next partitions; or ends, if there are none.
  func next(_ listing: HookListing) {
    let last = min(Partition.count, partition + HookLags.partitionsMax)
    guard partition < last, !listing.hooks.isEmpty else { return finish(listing) }
    guard !request.isOver else {
      let text = "the logs took too long; reading changes nothing, so retry"
      return request.end(.failed(RequestError(.unavailable, text)))
    }
    let call = HookLagsCall(prefix: ArgumentText(HookDefinition.groupPrefix))
    request.read(
      ScriptQuery(call, over: (partition..<last).map { Partition(index: $0) })
    ) { rows in
      var lags = self
      for row in rows { lags.take(row) }
      lags.partition = last
      lags.next(listing)
    }
  }

  /// Adds a line of hook_lags.lua: of each group its name, a count and a time.
  private mutating func take(_ row: [UInt8]) {
    let words = String(decoding: row, as: UTF8.self).split(separator: " ").dropFirst()
    for at in stride(from: words.startIndex, to: words.endIndex - 2, by: 3) {
      let name = String(words[at].dropFirst(HookDefinition.groupPrefix.count))
      counts[name, default: 0] += Int64(words[at + 1]) ?? 0
      if let ms = Int64(words[at + 2]), ms > 0 { oldest[name] = min(oldest[name] ?? ms, ms) }
    }
  }

  private func finish(_ listing: HookListing) {
    let hooks = listing.hooks.map { hook in
      let shown = StoredHook.shown(hook.name, hook.text)
      // One that is sealed by a key that this worker has not is corrupt to it.
      let isUsable = StoredHook.hook(hook.name, hook.text, seal) != nil
      return text(hook.name, shown, isUsable, listing)
    }
    request.end(Array("OK {\"hooks\":[\(hooks.joined(separator: ","))]}".utf8))
  }

  private func text(
    _ name: String, _ shown: ShownHook?, _ isUsable: Bool, _ listing: HookListing
  ) -> String {
    let figures = listing.figures(of: name)
    let lag = counts[name] ?? 0
    let lagMs = oldest[name].map { max(0, listing.nowMs - $0) } ?? 0
    let state = !isUsable ? "damaged" : figures.isFailing && lag > 0 ? "failing" : "delivering"
    let types = shown?.types.map { types in
      "[\(types.map { "\"\($0)\"" }.joined(separator: ","))]"
    }
    let number = { (value: Int64?) in value.map { "\($0)" } ?? "null" }
    return """
      {"name":\(json(name)),"url":\(json(shown?.url)),"types":\(types ?? "null"),\
      "devices":\(json(shown?.devices)),"signed":\(shown?.isSigned == true),\
      "state":"\(state)","lag":\(lag),"lag_ms":\(lagMs),"under_way":\(figures.underWay),\
      "delivered":\(figures.delivered),"delivered_at":\(number(figures.deliveredAtMs)),\
      "failed":\(figures.failed),"last_error":\(json(figures.error)),\
      "last_error_at":\(number(figures.errorAtMs)),"created_at":\(number(shown?.madeAtMs))}
      """
  }

  private func json(_ text: String?) -> String {
    guard let text else { return "null" }
    var json: [UInt8] = []
    json.appendJSONString(Array(text.utf8).span)
    return String(decoding: json, as: UTF8.self)
  }
}

/// A request for set_hook.lua.
struct SetHookCall: ScriptCall {
  static let script = Script.setHook
  let name: ArgumentText
  /// Nil removes it.
  let definition: ArgumentText?
  let hooksMax: Int64

  func write(to words: inout CommandBuffer) {
    words.word(name)
    words.word(definition)
    words.word(hooksMax)
  }
}

/// A request for hook_lags.lua.
struct HookLagsCall: ScriptCall {
  static let script = Script.hookLags
  let prefix: ArgumentText

  func write(to words: inout CommandBuffer) { words.word(prefix) }
}

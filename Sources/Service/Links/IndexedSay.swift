// Owns: SAY with `id=`, whose chat may have no index yet: Redis makes it in as many calls as that
// takes. Where messages are sealed, Redis compares ids that the worker makes of the members'
// values, and the worker reads the messages to make an index of those. Runs on a loop's thread.

internal import Access
internal import Loop
internal import Records
internal import RedisConnection
internal import Scripts
internal import Seal
internal import SessionModel
internal import Store
internal import Wire

/// The ids by which sealed messages are known: of each the hash of a member's value.
struct MessageIDs {
  private let hashing: SealHashing
  private let member: [UInt8]
  private let device: [UInt8]

  init(_ hashing: SealHashing, _ member: [UInt8], of device: some Sequence<UInt8>) {
    (self.hashing, self.member, self.device) = (hashing, member, Array(device))
  }

  /// As an index names the key of its ids.
  var key: [UInt8] { Array(hashing.keyID.utf8) }

  /// The id of a message; empty if its member is neither a string nor a number, or missing.
  func id(of message: UnsafeBufferPointer<UInt8>) -> [UInt8] {
    guard let range = MessageMember.value(member, of: message),
      let first = message[range].first,
      first == UInt8(ascii: "\"") || first == UInt8(ascii: "-")
        || UInt8(ascii: "0")...UInt8(ascii: "9") ~= first
    else { return [] }
    let value = UnsafeBufferPointer(rebasing: message[range])
    let hash = hashing.hash(of: value, member: member, device: device)
    return Array("s\(Hex.text(hash))".utf8)
  }

  /// The key, and the id of each message of a payload, as parts.
  func parts(_ payload: UnsafeBufferPointer<UInt8>) -> Parts {
    var parts = Parts()
    parts.add(key)
    guard payload.first == UInt8(ascii: "[") else {
      parts.add(id(of: payload))
      return parts
    }
    var elements = JSONElements(0, payload.count)
    while let range = elements.next(in: payload.span) {
      parts.add(id(of: UnsafeBufferPointer(rebasing: payload[range])))
    }
    return parts
  }
}

/// One SAY with `id=` on its way.
final class IndexedSay {
  private let request: HeldRequest
  private let partition: Partition
  /// Nil where messages are not sealed.
  private let ids: MessageIDs?
  private var say: SayCall
  /// The stamp of the chat whose messages are read, and their numbers and ids so far.
  private var index = Parts()
  private var triesLeft = 5
  private var pause: LoopTimer?

  /// A change in the millisecond of the stamp could not be seen.
  private static let pauseMs: Int64 = 2
  private static let pageMessages: Int64 = 1_000

  @discardableResult
  init(
    _ call: borrowing Call, _ say: SayCall, _ payload: UnsafeBufferPointer<UInt8>,
    _ ids: MessageIDs?
  ) throws(RequestError) {
    partition = call.partition
    self.ids = ids
    var kept = say.kept
    if let ids { kept.ids = .owned(ids.parts(payload).bytes) }
    assert(kept.ownsItsTexts)
    self.say = kept
    request = try HeldRequest(call, batchedFor: String(decoding: call.device, as: UTF8.self))
    request.enqueue(ScriptQuery(kept, at: partition)) { [self] in said($0) }
  }

  private func said(_ outcome: ScriptOutcome) {
    let more = Array("MORE ".utf8)
    guard case .line(let line, _) = outcome, line.starts(with: more) else {
      return request.end(outcome)
    }
    let words = String(decoding: line.dropFirst(more.count), as: UTF8.self).split(separator: " ")
    guard words != ["index"] else { return goOn() }
    guard words.count == 3, ids != nil else { return request.end(outcome) }
    guard triesLeft > 0, !request.isOver else {
      return request.end(
        .failed(
          RequestError(
            .overloaded,
            "id=: the chat is changed too often, or has too many messages, for an index of sealed "
              + "messages to be made; nothing was done, retry")))
    }
    triesLeft -= 1
    guard words[2] != "-" else { return again() }
    index = Parts()
    index.add(words[2].utf8)
    let users = say.session.readdressed(to: String(words[0]))
    read(session: users, chat: ArgumentText(String(words[1])), after: 0)
  }

  /// Redis has read a part of the chat, and keeps what it knows of it.
  private func goOn() {
    guard !request.isOver else {
      return request.end(
        .failed(
          RequestError(
            .overloaded, "id=: the chat's index is still being made; nothing was said, retry")))
    }
    ask()
  }

  private func again() {
    pause = LoopTimer(request.store.loop) { [self] in
      pause = nil
      ask()
    }
    pause?.set(afterMs: IndexedSay.pauseMs)
  }

  private func ask() {
    request.store.call(ScriptQuery(say, at: partition), timeoutMs: request.stepMs) { [self] in
      said($0)
    }
  }

  // MARK: Reading

  private func read(session: ArgumentText, chat: ArgumentText, after: Int64) {
    guard !request.isOver else {
      return request.end(
        .failed(
          RequestError(
            .unavailable, "the chat's messages took too long to read; nothing was done, retry")))
    }
    let page = HistoryCall(
      device: say.device, session: session, chat: chat, after: after, before: nil, since: nil,
      role: nil, limit: IndexedSay.pageMessages)
    request.store.call(ScriptQuery(page, at: partition), timeoutMs: request.stepMs) {
      [self] outcome in
      guard case .line(let line, _) = outcome, line.starts(with: "OK {".utf8) else {
        // It was removed, or changed so that the number is none of its.
        return again()
      }
      let body = UnsafeBufferPointer(rebasing: line.dropFirst("OK ".utf8.count))
      guard let found = add(body) else {
        return request.end(
          .failed(
            RequestError(
              .illegalState,
              "id=: a message of this chat does not open, so its id is not known: give this worker "
                + "its key (--seal-keys), or remove it (FORGET seq=)")))
      }
      guard found.hasMore else {
        say.index = .owned(index.bytes)
        return ask()
      }
      read(session: session, chat: chat, after: found.last)
    }
  }

  /// Adds the messages of a page; nil if one is corrupt.
  private func add(_ body: UnsafeBufferPointer<UInt8>) -> (last: Int64, hasMore: Bool)? {
    guard let ids else { return nil }
    var members = JSONMembers(0, body.count)
    var (last, hasMore): (Int64, Bool) = (0, false)
    while let (key, value) = members.next(in: body.span) {
      if body[key.range].elementsEqual("damaged".utf8) { return nil }
      if body[key.range].elementsEqual("more".utf8) {
        hasMore = body[value].elementsEqual("true".utf8)
      }
      guard body[key.range].elementsEqual("messages".utf8) else { continue }
      var elements = JSONElements(value.lowerBound, value.upperBound)
      while let element = elements.next(in: body.span) {
        let entry = UnsafeBufferPointer(rebasing: body[element])
        guard let seq = MessageMember.value("seq".utf8, of: entry),
          let message = MessageMember.value("message".utf8, of: entry),
          let number = Int64(String(decoding: entry[seq], as: UTF8.self))
        else { return nil }
        last = number
        index.add(entry[seq])
        index.add(ids.id(of: UnsafeBufferPointer(rebasing: entry[message])))
      }
    }
    return (last, hasMore && last > 0)
  }
}

extension SayCall {
  /// The same with texts of its own.
  fileprivate var kept: SayCall {
    SayCall(
      device: device.kept, session: session?.kept, chat: chat?.kept, messages: messages?.kept,
      seen: seen, id: id?.kept, after: after, last: last, token: token, req: req?.kept)
  }
}

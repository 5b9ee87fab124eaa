// Owns: the reading of a profile, which may be too large for one reply of Redis: then its fields
// are read in parts, and anew if it was changed meanwhile. Runs on a loop's thread.

internal import Loop
internal import Records
internal import RedisConnection
internal import Scripts
internal import SessionModel
internal import Settings
internal import Store
internal import Wire

/// One PROFILE that is read.
final class ProfileRead {
  private let request: HeldRequest
  private let link: LinkName
  private let bytesMax: Int
  private var triesLeft = 3
  private var parts: SessionParts
  private var keptBytes = 0

  @discardableResult
  init(_ call: borrowing Call, _ link: LinkName) throws(RequestError) {
    self.link = link
    let settings = call.shared.settings
    bytesMax = max(settings.recordBytesMax, settings.bufferedBytesMax / 4)
    parts = SessionParts(.record, call.shared.seal, device: link.text, showsSealed: false)
    request = try HeldRequest(call)
    begin()
  }

  deinit { request.context.keeps(more: -keptBytes) }

  private func query(stamp: String = "", from: String = "") -> ScriptQuery {
    let call = ProfileCall(
      device: ArgumentText(link.text), stamp: ArgumentText(stamp), from: ArgumentText(from))
    return ScriptQuery(call, at: link.partition)
  }

  private func begin() {
    request.store.call(query(), timeoutMs: request.stepMs) { [self] outcome in
      let more = Array("MORE ".utf8)
      guard case .line(let line, _) = outcome, line.starts(with: more) else {
        return request.end(outcome)
      }
      let seal = request.context.shared.seal
      parts = SessionParts(.record, seal, device: link.text, showsSealed: false)
      readPart(String(decoding: line.dropFirst(more.count), as: UTF8.self), from: "")
    }
  }

  private func readPart(_ stamp: String, from: String) {
    guard !request.isOver else {
      return end(RequestError(.unavailable, "the profile took too long to read; retry"))
    }
    let query = query(stamp: stamp, from: from)
    request.store.call(raw: query, timeoutMs: request.stepMs) { [self] result in
      switch result {
      case .failure(let error): end(error)
      case .success(let reply) where reply.count == 1: read(reply[0], stamp)
      case .success(let reply): end(request.store.refusal(of: reply, .profile))
      }
    }
  }

  private func read(_ reply: RedisReply, _ stamp: String) {
    guard let page = SessionParts.Page(reply) else {
      guard reply.bytes.starts(with: "MORE".utf8) else {
        return end(request.store.refusal(of: reply, .profile))
      }
      guard triesLeft > 0 else {
        return end(
          RequestError(.overloaded, "the profile was changed 3 times while it was read; retry"))
      }
      triesLeft -= 1
      return begin()
    }
    parts.addFields(page)
    request.context.keeps(more: parts.bytes - keptBytes)
    keptBytes = parts.bytes
    guard keptBytes <= bytesMax else {
      let why = "the fields have more than \(bytesMax) bytes (a quarter of --max-buffered)"
      return end(RequestError(.tooLarge, why))
    }
    let next = page.next
    guard next.isEmpty else { return readPart(stamp, from: next) }
    request.end(parts.profile(rev: stamp))
  }

  private func end(_ error: RequestError) { request.end(.failed(error)) }
}

/// A request for profile.lua.
struct ProfileCall: ScriptCall {
  static let script = Script.profile
  /// The link, as Redis has it.
  let device: ArgumentText
  let stamp: ArgumentText?
  let from: ArgumentText?

  func write(to words: inout CommandBuffer) {
    words.word(device)
    words.word(stamp)
    words.word(from)
  }
}

// Owns: what OPEN, and RECOVER where nothing can be recovered, make a session from. A value; on the
// loop's thread.

internal import RedisConnection
internal import SessionModel
internal import Settings
internal import Store
internal import Wire

/// A session that is to be made: parameters that open.lua and recover_latest.lua have in common.
struct NewSession {
  let session: ArgumentText
  /// JSON; the session's own id without `thread=`.
  let thread: ArgumentText
  /// Their lengths in ms, in the order in which a record keeps them.
  let clocks: ArgumentText
  let isFenced: Bool
  /// Parts, names and values in turn; the last may be `chat`, the first chat's name or `none`.
  let members: ArgumentText
  /// Those that it begins with, its thread included, each a line; each is reserved before it is
  /// made.
  let links: ArgumentText?

  func write(to words: inout CommandBuffer) {
    words.word(session)
    words.word(thread)
    words.word(clocks)
    words.word(isFenced)
    words.word(members)
    words.word(links)
  }
}

extension NewSession {
  /// From the options and the payload of OPEN or RECOVER; `user` is the user that it is linked to,
  /// nil without one.
  init(_ call: borrowing Call, user: String?) throws(RequestError) {
    self.init(call, user: user, try Members(call))
  }

  /// From the options, with these members.
  init(_ call: borrowing Call, user: String?, _ members: Members) {
    var members = members
    if let name = call.json(.chat) {
      members.set("chat".utf8, call.text(.chat) == "none" ? Array("none".utf8) : name)
    }
    let id = call.context.nextSessionID(mark: SessionID.mark(ofDevice: call.device))
    var clocks = call.shared.settings.clocks
    for clock in SessionClock.allCases {
      if let ms = call.number(clock.option) { clocks[clock] = ms }
    }
    let links: [LinkName] =
      (user.map { [.user($0)] } ?? []) + (call.option(.thread).map { [.thread($0)] } ?? [])
    self.init(
      session: ArgumentText(id), thread: call.quoted(.thread) ?? ArgumentText("\"\(id)\""),
      clocks: ArgumentText(clocks.text),
      isFenced: call.option(.fenced)?.elementsEqual("yes".utf8) ?? false,
      members: .owned(members.parts.bytes),
      links: links.isEmpty ? nil : ArgumentText(links.map(\.line).joined()))
  }

  /// The options for a new session that an existing one ignores, as JSON; nil if there are none.
  ///
  /// `more` names other parts of the request that it ignores.
  static func ignored(_ call: borrowing Call, more: [String] = []) -> ArgumentText? {
    let options: [OptionName] = [.name, .phase, .step] + OptionName.clocks + [.fenced, .chat]
    let names = options.filter { call.option($0) != nil }.map(\.text) + more
    return names.isEmpty ? nil : ArgumentText("[\"\(names.joined(separator: "\",\""))\"]")
  }
}

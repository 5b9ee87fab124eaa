// Owns: what OPEN, and RECOVER where nothing can be recovered, make a session from. A value; on the
// loop's thread.

internal import SessionModel
internal import Settings
internal import Store
internal import Wire

/// A session that is to be made.
struct NewSession {
  /// The links that it begins with, its thread included: each is reserved before it is made.
  let links: [LinkName]
  /// When the first of its clocks does anything; nil if none runs.
  let dueInMs: Int64?
  /// The id, the thread (JSON), the clocks in ms in the order in which a record keeps them,
  /// whether it is fenced, its members, and its links.
  private let words: [String]

  /// `user` is the user that it is linked to; nil without one.
  init(_ call: borrowing Call, user: String?) throws(RequestError) {
    let id = call.context.nextSessionID(mark: SessionID.mark(ofDevice: call.device))
    let thread = call.json(.thread).map { String(decoding: $0, as: UTF8.self) } ?? "\"\(id)\""
    var clocks: [Int64] = []
    for (option, ms) in zip(OptionName.clocks, call.shared.settings.clocks.inOrder) {
      clocks.append(call.number(option) ?? ms)
    }
    dueInMs = NewSession.firstDue(clocks)
    let isFenced = call.option(.fenced)?.elementsEqual("yes".utf8) ?? false
    let members = try Members(call)
    links = (user.map { [.user($0)] } ?? []) + (call.option(.thread).map { [.thread($0)] } ?? [])
    words = [
      id, thread, clocks.map(String.init).joined(separator: " "), isFenced ? "yes" : "no",
      String(decoding: members.parts.bytes, as: UTF8.self), links.map(\.line).joined(),
    ]
  }

  /// As the scripts take them, with the reservations that were made for it.
  func words(_ reservations: Reservations = Reservations()) -> [String] {
    words + [reservations.text]
  }

  private static func firstDue(_ clocks: [Int64]) -> Int64? {
    let (idle, abandon, life, warn) = (clocks[0], clocks[1], clocks[3], clocks[5])
    let warned = [idle, life].map { $0 > warn ? $0 - warn : $0 }
    return (warned + [abandon]).filter { $0 > 0 }.min()
  }
}

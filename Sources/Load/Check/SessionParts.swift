// Owns: the conclusions from the replies about the parts of a session: its chats, with the quota
// of them, and its links, with the lists that they lead to. Values; any thread.

extension DeviceCheck {
  /// OPEN of one more session of the user was answered with OK.
  mutating func userOpened(_ open: OpenCall, _ nowNs: Int64) -> Violation? {
    users.add(sentNs: open.call.invokedNs)
    guard let limit = users.limit, let clocks = open.call.clocks,
      users.living(clocks, nowNs: nowNs) > limit
    else { return nil }
    return Violation(
      .quotaWrong,
      "the user has \(users.living(clocks, nowNs: nowNs)) live sessions, and may have "
        + "\(limit)", atNs: nowNs)
  }

  /// OPEN was refused because the user has so many live sessions as it may have.
  mutating func userRefused(_ open: OpenCall, _ limit: Int, _ nowNs: Int64) -> Violation? {
    users.limit = limit
    let isOne = { (call: LoadCall) in call.verb == .open && call.isOfUser }
    let unknown =
      (self.open.count { $0.id != open.id && isOne($0.call) }) + loose.count { isOne($0.call) }
    if users.sentNs.count + unknown < limit {
      return Violation(
        .quotaWrong,
        "OPEN is refused after \(users.sentNs.count) sessions of the user, who may have "
          + "\(limit)", atNs: nowNs)
    }
    return nil
  }

  /// CHAT was answered with the number of a new chat.
  mutating func chatAdded(_ open: OpenCall, _ number: Int, _ nowNs: Int64) -> Violation? {
    guard number > open.chatBefore, !chats.numbers.contains(number) else {
      return Violation(
        .chatNumberReused, "CHAT adds chat \(number), and chat \(open.chatBefore) was there before",
        atNs: nowNs)
    }
    chats.add(number)
    guard let limit = chats.limit, chats.numbers.count + 1 > limit else { return nil }
    return tooManyChats(limit, nowNs)
  }

  private func tooManyChats(_ limit: Int, _ nowNs: Int64) -> Violation {
    Violation(
      .quotaWrong, "the session has \(chats.numbers.count + 1) chats, and may have \(limit)",
      atNs: nowNs)
  }

  /// CHAT was refused because the session has so many chats as it may have.
  mutating func chatRefused(_ open: OpenCall, _ limit: Int, _ nowNs: Int64) -> Violation? {
    chats.limit = limit
    guard chats.numbers.count + 1 <= limit else { return tooManyChats(limit, nowNs) }
    let unknown =
      (self.open.count { $0.id != open.id && $0.call.verb == .chat })
      + loose.count { $0.call.verb == .chat }
    guard chats.numbers.count + 1 + unknown < limit else { return nil }
    return Violation(
      .quotaWrong,
      "CHAT is refused at \(chats.numbers.count + 1) chats, and the session may have "
        + "\(limit)", atNs: nowNs)
  }

  /// LIST was answered with sessions.
  func listed(_ open: OpenCall, _ sessions: [String], _ nowNs: Int64) -> Violation? {
    if open.call.isDeleted {
      return sessions.isEmpty
        ? nil
        : Violation(
          .listWrong, "LIST shows session \(sessions[0]), and it was deleted before", atNs: nowNs)
    }
    guard let track else { return nil }
    if let other = sessions.first(where: { $0 != track.id }) {
      return Violation(
        .listWrong, "LIST shows session \(other), which was never linked", atNs: nowNs)
    }
    guard open.hadLink, sessions.isEmpty else { return nil }
    return Violation(
      .listWrong, "LIST does not show session \(track.id), which was linked before", atNs: nowNs)
  }
}

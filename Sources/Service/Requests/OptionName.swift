// Owns: the options of the protocol and what each takes. Values; any thread.

internal import Access
internal import SessionModel
internal import Wire

/// The options of the protocol: a name has the same kind wherever it stands.
package enum OptionName: Int, CaseIterable, Sendable {
  case ttl, token, req
  case types, after, group, limit, wait, changes
  case agent
  case user, name, thread, phase, step, reason
  case idle, abandon, archive, life, keep, warn
  case order, isCounted
  case fenced, rev, state, cursor, hint, last, replace, archived
  case turn, policy, seen, fresh, settle, `return`
  case seq, id, before, since, role, count
  case prefix, from, to, newest, values
  case chat, maxMessages, full, fields
  case asNew, asUser, sealed
  case expiresAt
  /// `policy=` of a session; that of TURN is `policy`, and `session-policy` there is this one.
  case policyName, sessionPolicy
  /// `if=` of PUT.
  case condition
  /// `last=yes` of DONE; elsewhere `last` is a number, as `count` is but in LIST.
  case isLast
  /// Where `after` and `last` are numbers of messages; elsewhere `after` is an event's id, and
  /// `last` says how many.
  case afterSeq, lastSeq
  /// `user=`, `role=`, `until=` and `tickets=` of SHARE, UNSHARE and TICKET; elsewhere `user` is
  /// whose a session is, and `role` that of messages.
  case sharedUser, sharedRole, ticketRole, until, tickets
  case url, secret, devices
  /// `on=` of RECOVER: the device of a new session.
  case on
  /// `user=` of COPY and IMPORT: to whom the session that they make is linked.
  case owner

  package var text: String { OptionName.texts[rawValue] }

  private static let texts = allCases.map { option in
    switch option {
    case .isLast, .lastSeq: "last"
    case .isCounted: "count"
    case .afterSeq: "after"
    case .sharedUser, .owner: "user"
    case .sharedRole, .ticketRole: "role"
    case .condition: "if"
    case .maxMessages: "max-messages"
    case .asNew: "as-new"
    case .asUser: "as"
    case .expiresAt: "expires_at"
    case .policyName: "policy"
    case .sessionPolicy: "session-policy"
    default: "\(option)"
    }
  }

  /// The clocks of a session, in the order in which its record keeps them.
  package static let clocks: [OptionName] = SessionClock.allCases.map(\.option)

  package var kind: ValueKind {
    switch self {
    case .on: .device
    case .ttl, .return, .until: .duration(allowsZero: false)
    case .token, .turn: .integer(1...((1 << 53) - 1))
    case .req, .after, .group: .id
    case .types: .text(bytesMax: 1_024)
    case .limit: .integer(1...1_000)
    case .wait, .settle: .duration(allowsZero: true)
    case .agent: .agent
    case .user, .asUser, .sharedUser, .owner, .policyName, .sessionPolicy: .id
    case .sharedRole: .oneOf(SessionRole.allCases.map(\.rawValue))
    case .ticketRole: .oneOf(SessionRole.allCases.filter { $0 != .own }.map(\.rawValue))
    case .tickets: .oneOf(["all"])
    case .url: .text(bytesMax: 2_048)
    case .secret: .text(bytesMax: 256)
    case .devices: .text(bytesMax: 2 * IDText.idBytesMax)
    case .name, .phase, .step, .reason: .text(bytesMax: ValueKind.storedTextBytesMax)
    case .thread: .text(bytesMax: IDText.idBytesMax)
    case .idle, .abandon, .archive, .life, .keep, .warn:
      .duration(allowsZero: SessionClock(rawValue: text)?.row.canBeOff ?? false)
    case .order: .oneOf(["created", "active"])
    case .fenced, .replace, .asNew, .archived, .isLast, .isCounted, .fresh, .newest, .values,
      .changes, .sealed:
      .oneOf(["yes", "no"])
    case .condition: .oneOf(["absent", "present"])
    case .chat: .text(bytesMax: ValueKind.storedTextBytesMax)
    case .maxMessages: .integer(1...1_000_000)
    case .full: .oneOf(["trim", "refuse"])
    case .fields: .text(bytesMax: ValueKind.storedTextBytesMax)
    case .prefix, .from, .to: .text(bytesMax: DocumentKey.bytesMax)
    case .policy: .oneOf(TurnPolicy.allCases.map(\.rawValue))
    case .expiresAt, .rev, .seen, .seq, .before, .since, .afterSeq, .lastSeq:
      .integer(0...((1 << 53) - 1))
    case .id: .text(bytesMax: ValueKind.memberNameBytesMax)
    case .role: .text(bytesMax: IDText.idBytesMax)
    case .count: .integer(1...1_000)
    case .state: .someOf(SessionState.allCases.map(\.rawValue))
    case .hint: .id
    // A partition's tag, a session and a device, with points between them.
    case .cursor: .text(bytesMax: IDText.idBytesMax + 64)
    case .last: .integer(0...1_000)
    }
  }
}

extension OptionName {
  /// Whether it is part of the request's fingerprint: with another value it is another request,
  /// which may not have the same idempotency key.
  var isPartOfRequest: Bool {
    switch self {
    case .req, .wait, .settle: false
    case .ttl, .token, .types, .after, .group, .limit, .changes, .agent, .user, .name, .thread,
      .phase, .step,
      .reason, .idle, .abandon, .archive, .life, .keep, .warn, .order, .isCounted, .fenced, .rev,
      .state, .cursor,
      .hint, .last, .replace, .archived, .turn, .policy, .seen, .seq, .id, .before, .since, .role,
      .count, .isLast, .afterSeq, .lastSeq, .prefix, .from, .to, .newest, .values, .condition,
      .chat,
      .maxMessages, .full, .fields, .asNew, .asUser, .sealed, .fresh, .return, .expiresAt,
      .policyName,
      .sessionPolicy, .sharedUser, .sharedRole, .ticketRole, .until, .tickets, .url, .secret,
      .devices, .on, .owner:
      true
    }
  }

  /// The scope to which an option gives access.
  enum Reach { case nothing, user, device, everyDevice }

  var reach: Reach {
    switch self {
    case .user, .asUser, .owner: .user
    case .on: .device
    // A group takes events of all devices.
    case .group: .everyDevice
    case .agent, .ttl, .token, .req, .types, .after, .limit, .wait, .changes, .name, .thread,
      .phase, .step,
      .reason,
      .idle, .abandon, .archive, .life, .keep, .warn, .order, .isCounted, .fenced, .rev, .state,
      .cursor, .hint, .last,
      .replace, .archived, .turn, .policy, .seen, .seq, .id, .before, .since, .role, .count,
      .isLast,
      .afterSeq, .lastSeq, .prefix, .from, .to, .newest, .values, .condition, .chat,
      .maxMessages, .full, .fields, .asNew, .sealed, .fresh, .settle, .return, .expiresAt,
      .policyName,
      // A session may be shared with any user.
      .sessionPolicy, .sharedUser, .sharedRole, .ticketRole, .until, .tickets, .url, .secret,
      .devices:
      .nothing
    }
  }
}

extension SessionClock {
  /// The option that sets it, which has its name.
  var option: OptionName {
    switch self {
    case .idle: .idle
    case .abandon: .abandon
    case .archive: .archive
    case .life: .life
    case .keep: .keep
    case .warn: .warn
    }
  }
}

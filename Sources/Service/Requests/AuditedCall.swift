// Owns: which requests are privileged, and what the audit shows of a request. Runs on the loop's
// thread, during one call of the verb.

internal import Access
internal import Events

/// What is noted of a request until it is answered.
package struct AuditedCall: Sendable {
  /// The principal; nil before AUTH, and without authentication.
  package let who: String?
  /// Who has issued the ticket by which it came; nil for all other requests, and where all may
  /// issue tickets.
  package let issuer: String?
  /// The device, `*` for all; nil where the request names none.
  package let device: String?
  package let isPrivileged: Bool
}

extension Call {
  /// Verbs that take what is another's, take a session out or in whole, or let others in.
  private static let privileged: Set<String> = [
    "SEIZE", "EXPORT", "IMPORT", "SHARE", "UNSHARE", "TICKET",
  ]

  package var audited: AuditedCall {
    let principal = checksAccess ? caller.principal : nil
    return AuditedCall(
      who: principal?.key, issuer: principal?.issuerKey, device: auditedDevice,
      isPrivileged: isPrivileged)
  }

  /// Whether it needs the right `operate`, is about all devices or an agent's, or is of one of
  /// these verbs.
  private var isPrivileged: Bool {
    if verb.rights == .operate || Call.privileged.contains(verb.name) { return true }
    if verb.words.isEmpty { return verb.reach != .shown && verb.rights != .known }
    if verb.words.contains(where: { $0.kind == .group }) { return true }
    // REPORT agent=, of whatever devices.
    if arguments.words.isEmpty, arguments[.agent] != nil { return true }
    return auditedDevice == "*"
      || verb.options.contains { $0.reach == .everyDevice && arguments[$0] != nil }
  }

  private var auditedDevice: String? {
    guard let rule = verb.words.first, !arguments.isOfUser, !arguments.words.isEmpty else {
      return nil
    }
    switch rule.kind {
    case .device, .deviceOrAll, .address, .addressOrAll:
      return String(decoding: device, as: UTF8.self)
    case .listed:
      let isLink = word(0).contains(UInt8(ascii: "="))
      return isLink ? nil : text(0)
    case .id, .linkKind, .linkRef, .group, .agent, .text, .duration, .integer, .oneOf, .someOf:
      return nil
    }
  }
}

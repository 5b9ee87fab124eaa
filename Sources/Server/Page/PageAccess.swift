// Owns: who may use the page: by --admin-auth, and by the principals that there are. Runs on the
// control loop.

internal import Access
internal import Loop
internal import Service
internal import Settings
internal import Synchronization
internal import Wire

/// The caller that a person is at the page.
struct PageCaller {
  static let needsOperator =
    "forbidden: the overview needs a principal with the right operate, all devices and "
    + "all users"

  /// Nil where all may call.
  let principal: Principal?
  /// The lines by which a connection becomes its caller's.
  let greeting: [[UInt8]]

  /// Whether it may see what concerns all devices.
  var isOperator: Bool {
    guard let principal else { return true }
    return principal.rights.contains(.operate) && principal.seesAllDevices
      && principal.users == nil
  }
}

/// Finds out who asks.
struct PageAccess {
  enum Verdict {
    case accepted(PageCaller)
    case refused(PageRefusal)
  }

  private let shared: SharedState
  /// Why nothing is shown at all.
  let refusal: String?

  private static let isClosed =
    "other machines can reach this port: the page is shown there when --admin-auth names the "
    + "principals that may use it"
  private static let noSecret = "say who you are: a secret of a principal is needed"

  init(_ shared: SharedState, isOpenToOthers: Bool) {
    self.shared = shared
    refusal = isOpenToOthers && shared.settings.adminAuth.isEmpty ? PageAccess.isClosed : nil
  }

  /// The caller of a request with that header Authorization.
  func caller(_ authorization: String?) -> Verdict {
    if let refusal { return .refused(PageRefusal(status: 403, text: refusal)) }
    guard let principals = shared.principals.withLock({ $0 }) else {
      return .accepted(PageCaller(principal: nil, greeting: []))
    }
    guard let authorization else {
      return .refused(PageRefusal(status: 401, text: PageAccess.noSecret, isNoted: false))
    }
    let words = authorization.split(separator: " ", maxSplits: 1)
    guard words.count == 2, words[0].lowercased() == "bearer" else {
      return .refused(PageRefusal(status: 401, text: PageAccess.noSecret, verb: "AUTH"))
    }
    let text = Array(words[1].utf8)
    let clock = TokenClock(wallMs: WallTime.nowMs(), monotonicMs: MonotonicTime.nowMs())
    do throws(AuthenticationFault) {
      let (kind, principal) = try text.withUnsafeBufferPointer { text throws(AuthenticationFault) in
        let kind = principals.kind(ofBearer: text)
        return (kind, try principals.authenticate(kind, text, clock))
      }
      let names = shared.settings.adminAuth
      guard names.isEmpty || principal.token == nil && names.contains(principal.name) else {
        return .refused(
          PageRefusal(
            status: 403, text: "forbidden: --admin-auth does not name this principal",
            who: principal.key, verb: "AUTH"))
      }
      return .accepted(PageCaller(principal: principal, greeting: [greeting(kind, text)]))
    } catch {
      return .refused(PageRefusal(status: 401, text: error.text, verb: "AUTH"))
    }
  }

  private func greeting(_ kind: CredentialKind, _ text: [UInt8]) -> [UInt8] {
    var line = Array((kind == .jwt ? "AUTH jwt " : "AUTH ").utf8)
    line.appendJSONString(text.span)
    return line
  }
}

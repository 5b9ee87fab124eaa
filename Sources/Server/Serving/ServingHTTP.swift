// Owns: who may ask by HTTP: the page that asks, by its origin, and the principal, by the secret
// that comes with each request. Runs on the loop's thread.

internal import Access
internal import Loop
internal import Metrics
internal import Service
internal import Settings
internal import Store
internal import Wire

/// The common fields of responses, and the second of their date.
struct DatedFields {
  var fields: HTTPCommonFields
  var second: Int64 = -1
}

extension ServingLoop {
  var httpFields: HTTPCommonFields {
    let second = loop.nowMs / 1_000
    if second != dated.second {
      dated.second = second
      dated.fields.date = Array(WallTime.httpText(ms: WallTime.nowMs()).utf8)
    }
    return dated.fields
  }

  /// A head has come: finds its origin and its principal, or refuses it; returns whether it is a
  /// preflight, which is answered without either.
  func httpBegins(
    _ connection: Connection, _ http: HTTPWire, _ head: HTTPHead
  ) throws(HTTPRefusal) -> Bool {
    let bytes = http.reader.head
    http.current.origin = try origin(head, bytes, dated.fields.origins)
    switch head.method {
    case .options:
      if http.current.origin >= 0, head.askedMethod != nil { return true }
      http.current.allows = .other
      throw HTTPRefusal(
        .methodNotAllowed, "OPTIONS is for a browser's preflight of a listed origin")
    case .head, .other:
      http.current.allows = .other
      throw HTTPRefusal(.methodNotAllowed, "requests are sent by POST, or GET where they only read")
    case .get, .post: break
    }
    try authenticate(connection, http, head, bytes)
    return false
  }

  /// Answers a request that is none of this protocol, or not from where it may come, unless it is
  /// answered already.
  func httpRefused(_ connection: Connection, _ refusal: HTTPRefusal, isMalformed: Bool) {
    if let http = connection.http, !http.isAnswered {
      http.isAnswered = true
      http.current.status = refusal.status
      answer(take(from: connection), refusal.error)
      http.current.status = nil
    }
    guard isMalformed else { return }
    shared.log.repeated(
      .warn, "a connection that sent malformed HTTP was closed",
      cause: "\(refusal.status.rawValue)",
      ["status": "\(refusal.status.rawValue)", "from": connection.peer?.description ?? "?"])
  }

  // MARK: - Origins

  private static let unlisted = RequestError(
    .forbidden, "pages of this origin may not call; --http-origins lists those that may")

  /// The number of the page's origin in the list; -1 if no browser asks.
  ///
  /// A browser sends none with some requests of a page: that page has to be listed all the same.
  private func origin(
    _ head: HTTPHead, _ bytes: [UInt8], _ listed: [[UInt8]]
  ) throws(HTTPRefusal) -> Int16 {
    if let given = head.origin {
      guard let index = listed.firstIndex(where: { $0.elementsEqual(bytes[given]) }) else {
        throw HTTPRefusal(ServingLoop.unlisted)
      }
      return Int16(index)
    }
    guard let site = head.fetchSite, !bytes[site].elementsEqual("none".utf8) else { return -1 }
    // The page has the origin that it calls, which may have been rebound to this worker's address.
    guard bytes[site].elementsEqual("same-origin".utf8), let host = head.host,
      listed.contains(where: { ServingLoop.isOrigin($0, of: bytes[host]) })
    else { throw HTTPRefusal(ServingLoop.unlisted) }
    return -1
  }

  private static func isOrigin(_ origin: [UInt8], of host: ArraySlice<UInt8>) -> Bool {
    origin.elementsEqual("http://".utf8 + host) || origin.elementsEqual("https://".utf8 + host)
  }

  // MARK: - Principals

  private static let noSecret = RequestError(
    .authRequired, "send the header Authorization: Bearer and your secret or token")

  private func authenticate(
    _ connection: Connection, _ http: HTTPWire, _ head: HTTPHead, _ bytes: [UInt8]
  ) throws(HTTPRefusal) {
    if let ticket = HTTPRequestLine.ticket(head, bytes.span, verbs) {
      try HTTPRequestLine.requireOnce("ticket", head, bytes.span)
      guard head.authorization == nil else {
        throw HTTPRefusal(
          .badRequest, "ticket= stands alone: leave the header Authorization out, or ticket=")
      }
      return try take(connection, http, .ticket, ticket[...], said: ticket)
    }
    guard let given = head.authorization else {
      forgetPrincipal(connection, http)
      guard principals != nil else { return }
      return try requireNone(head, bytes)
    }
    if let known = http.authorization, known.elementsEqual(bytes[given]) { return }
    let scheme = bytes[given].prefix(7)
    let isBearer =
      scheme.count == 7 && zip(scheme, "bearer ".utf8).allSatisfy { $0 | 0x20 == $1 }
    let text = bytes[given].dropFirst(7).drop { $0 == UInt8(ascii: " ") }
    guard principals != nil || isBearer && AccessTicket.isOne(text) else {
      throw HTTPRefusal(ServingLoop.noAuthentication)
    }
    guard isBearer else {
      forgetPrincipal(connection, http)
      throw HTTPRefusal(ServingLoop.noSecret)
    }
    let kind: CredentialKind =
      AccessTicket.isOne(text)
      ? .ticket : text.withUnsafeBufferPointer { principals?.kind(ofBearer: $0) ?? .secret }
    try take(connection, http, kind, text, said: Array(bytes[given]))
  }

  /// Finds the principal of a secret, a token or a ticket; `said` is what it came as.
  private func take(
    _ connection: Connection, _ http: HTTPWire, _ kind: CredentialKind, _ text: ArraySlice<UInt8>,
    said: [UInt8]
  ) throws(HTTPRefusal) {
    forgetPrincipal(connection, http)
    if kind == .ticket {
      do throws(RequestError) { try requireTicketKeys() } catch { throw HTTPRefusal(error) }
    }
    let found: Principal
    do throws(AuthenticationFault) {
      found = try text.withUnsafeBufferPointer { (text) throws(AuthenticationFault) in
        try principal(kind, text)
      }
    } catch {
      throw HTTPRefusal(failure(connection, http, error))
    }
    connection.authFailures = 0
    do throws(RequestError) { try count(connection, found) } catch { throw HTTPRefusal(error) }
    http.authorization = said
    give(connection, found)
  }

  /// Only what is about the connection alone is answered without a principal.
  private func requireNone(_ head: HTTPHead, _ bytes: [UInt8]) throws(HTTPRefusal) {
    if case .verb(let index) = try HTTPRequestLine.route(head, bytes.span, verbs),
      VerbTable.all[index].rights == .connection
    {
      return
    }
    throw HTTPRefusal(ServingLoop.noSecret)
  }

  private func failure(
    _ connection: Connection, _ http: HTTPWire, _ fault: AuthenticationFault
  ) -> RequestError {
    noteFailure(connection, fault)
    if connection.authFailures >= failuresMax { http.current.closes = true }
    return RequestError(.forbidden, fault.text)
  }

  private func forgetPrincipal(_ connection: Connection, _ http: HTTPWire) {
    http.authorization = nil
    guard connection.principal != nil else { return }
    connection.principal = nil
    connection.change(to: nil)
    connection.unknownSinceMs = loop.nowMs
    connection.setLineLimits(isKnown: principals == nil)
  }
}

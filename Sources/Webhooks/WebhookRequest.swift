// Owns: one delivery's request, and what can become of it. Values; any thread.

/// What is POSTed.
package struct WebhookRequest: Sendable {
  package let address: WebhookAddress
  /// Beside those that every request has.
  package let headers: [(name: String, value: String)]
  package let body: [UInt8]
  /// From the request's beginning, a look-up of its host included, to its reply's header.
  package let timeoutMs: Int64

  package init(
    address: WebhookAddress, headers: [(name: String, value: String)], body: [UInt8],
    timeoutMs: Int64
  ) {
    self.address = address
    self.headers = headers
    self.body = body
    self.timeoutMs = timeoutMs
  }

  /// An event's, signed at this moment if the hook has a secret.
  package init(
    _ event: CloudEvent, source: String, to address: WebhookAddress, secret: [UInt8]?,
    unixSeconds: Int64, timeoutMs: Int64
  ) {
    let body = event.body(source: source)
    var headers = [
      (name: "Content-Type", value: CloudEvent.contentType),
      (name: CloudEvent.idHeaderName, value: event.id),
    ]
    if let secret {
      let value = WebhookSignature.header(secret: secret, unixSeconds: unixSeconds, body: body)
      headers.append((WebhookSignature.headerName, value))
    }
    self.init(address: address, headers: headers, body: body, timeoutMs: timeoutMs)
  }
}

/// What has become of a request.
package enum WebhookOutcome: Equatable, Sendable {
  /// The receiver has answered 2xx, and so has the event.
  case delivered(status: Int)
  /// It has answered anything else; `retryAfterMs` if it says when to come again.
  case refused(status: Int, retryAfterMs: Int64?)
  /// There was no answer; a phrase without any secret.
  case failed(String)

  package var isDelivered: Bool {
    if case .delivered = self { true } else { false }
  }

  /// Why the event was not taken, for HOOKS and the log; nil if it was.
  package var problem: String? {
    switch self {
    case .delivered: nil
    case .refused(let status, _) where 300..<400 ~= status:
      "answered \(status): redirects are not followed, set the hook to the address that it leads to"
    case .refused(let status, _): "answered \(status)"
    case .failed(let reason): reason
    }
  }
}

/// The limits of a sender.
package struct WebhookLimits: Sendable {
  /// Which addresses may be reached.
  package var policy: AddressPolicy
  /// The most connections, those that wait for a further request included.
  package var connectionsMax: Int
  /// A PEM file of the authorities of receivers' certificates; nil: the system's.
  package var authorities: String?
  /// How long a connection may take until it is there, TLS' handshake included.
  package var connectMs: Int64 = 5_000
  /// The most bytes of a reply's header; more are a failure.
  package var headerBytesMax = 16 << 10
  /// The most bytes of a reply's body that are read, to use its connection again.
  package var bodyBytesMax = 8 << 10
  /// The most bytes that may come for a reply, header, body and all that frames them.
  package var replyBytesMax: Int { headerBytesMax + bodyBytesMax + 64 << 10 }
  /// Sent as `User-Agent`.
  package var userAgent: String

  package init(
    policy: AddressPolicy, connectionsMax: Int, authorities: String? = nil, userAgent: String
  ) {
    self.policy = policy
    self.connectionsMax = connectionsMax
    self.authorities = authorities
    self.userAgent = userAgent
  }

  /// The descriptors that a sender takes at most: two for libcurl itself, and for each connection
  /// its own and two of a look-up of its host.
  package static func descriptors(ofConnections connections: Int) -> Int { 2 + 3 * connections }

  /// How many connections a sender may have that takes so many descriptors at most.
  package static func connections(within descriptors: Int) -> Int { max(0, (descriptors - 2) / 3) }
}

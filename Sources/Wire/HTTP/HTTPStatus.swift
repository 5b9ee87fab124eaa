// Owns: the status of HTTP for each word that a reply of the line protocol begins with, and for
// each code of an error. Pure functions; any thread.

/// The numbers of HTTP that this worker answers with.
package enum HTTPStatus: Int, CaseIterable, Sendable {
  case ok = 200
  case noContent = 204
  case badRequest = 400
  case unauthorized = 401
  case forbidden = 403
  case notFound = 404
  case methodNotAllowed = 405
  case requestTimeout = 408
  case conflict = 409
  case preconditionFailed = 412
  case contentTooLarge = 413
  case unsupportedMediaType = 415
  case expectationFailed = 417
  case locked = 423
  case tooManyRequests = 429
  case internalError = 500
  case notImplemented = 501
  case unavailable = 503
  case gatewayTimeout = 504
  case versionNotSupported = 505

  /// The status of a reply, by its first word; that of `ERR` is its code's.
  package static func of(word: Span<UInt8>) -> HTTPStatus? {
    if equal(word, "OK") { return .ok }
    if equal(word, "NONE") { return .notFound }
    if equal(word, "HELD") { return .locked }
    if equal(word, "BUSY") { return .conflict }
    return equal(word, "STALE") ? .preconditionFailed : nil
  }

  private static func equal(_ word: Span<UInt8>, _ name: StaticString) -> Bool {
    guard word.count == name.utf8CodeUnitCount else { return false }
    for at in 0..<word.count where word[at] != name.utf8Start[at] { return false }
    return true
  }

  /// The status of an error.
  package init(_ code: ErrorCode) {
    self =
      switch code {
      case .badRequest: .badRequest
      case .unknownVerb: .notFound
      case .tooLarge: .contentTooLarge
      case .authRequired: .unauthorized
      case .forbidden: .forbidden
      case .illegalState, .conflict: .conflict
      case .quota: .tooManyRequests
      case .unavailable, .overloaded, .draining: .unavailable
      case .unknownOutcome: .gatewayTimeout
      case .internal: .internalError
      }
  }

  /// Its words in a status line.
  var reason: StaticString {
    switch self {
    case .ok: "OK"
    case .noContent: "No Content"
    case .badRequest: "Bad Request"
    case .unauthorized: "Unauthorized"
    case .forbidden: "Forbidden"
    case .notFound: "Not Found"
    case .methodNotAllowed: "Method Not Allowed"
    case .requestTimeout: "Request Timeout"
    case .conflict: "Conflict"
    case .preconditionFailed: "Precondition Failed"
    case .contentTooLarge: "Content Too Large"
    case .unsupportedMediaType: "Unsupported Media Type"
    case .expectationFailed: "Expectation Failed"
    case .locked: "Locked"
    case .tooManyRequests: "Too Many Requests"
    case .internalError: "Internal Server Error"
    case .notImplemented: "Not Implemented"
    case .unavailable: "Service Unavailable"
    case .gatewayTimeout: "Gateway Timeout"
    case .versionNotSupported: "HTTP Version Not Supported"
    }
  }
}

/// A refusal of a request of HTTP; its status is that of the error's code, unless HTTP has a
/// number of its own for it.
package struct HTTPRefusal: Error, Equatable, Sendable {
  package let status: HTTPStatus
  package let error: RequestError

  package init(_ status: HTTPStatus, _ text: String) {
    self.status = status
    error = RequestError(.badRequest, text)
  }

  package init(_ error: RequestError) {
    status = HTTPStatus(error.code)
    self.error = error
  }
}

// Owns: one request within libcurl: its handle, what its reply has been so far, and how it ended.
// Runs on its sender's thread.

internal import CCurl
internal import Glibc
internal import Loop

final class WebhookTransfer {
  private let library: CurlLibrary
  let easy: UnsafeMutableRawPointer
  private var list: UnsafeMutablePointer<curl_slist>?
  private let limits: WebhookLimits
  let done: (WebhookOutcome) -> Void

  // MARK: The reply so far

  private var headerBytes = 0
  private var bodyBytes = 0
  /// Whether the final reply's header has ended: its status decides from then on.
  private var isAnswered = false
  /// Why an address was not connected to.
  private var refusal: String?
  private var isHeaderTooLarge = false
  /// The socket that it uses, and how many bytes had come there before.
  private var socket: Socket?
  private var receivedBefore: Int64 = 0

  init(
    _ library: CurlLibrary, _ request: WebhookRequest, _ limits: WebhookLimits,
    _ done: @escaping (WebhookOutcome) -> Void
  ) throws(WebhookError) {
    guard let easy = curl_make_easy(library.functions) else {
      throw WebhookError("libcurl has made no request")
    }
    (self.library, self.easy, self.limits, self.done) = (library, easy, limits, done)
    // From here on the handle is freed with this object.
    try prepare(request)
  }

  deinit {
    curl_free_easy(library.functions, easy)
    curl_free_list(library.functions, list)
  }

  // MARK: Options

  private func prepare(_ request: WebhookRequest) throws(WebhookError) {
    try setNumbers(request)
    try set(CURLOPT_URL, request.address.requested)
    try set(CURLOPT_USERAGENT, limits.userAgent)
    // None, whatever the environment names.
    try set(CURLOPT_PROXY, "")
    if let user = request.address.user {
      try set(CURLOPT_HTTPAUTH, Int(curl_auth_basic))
      try set(CURLOPT_USERNAME, user.name)
      try set(CURLOPT_PASSWORD, user.password)
    }
    if let authorities = limits.authorities {
      try set(CURLOPT_CAINFO, authorities)
      // The file is read at each connection: it may have changed.
      try set(CURLOPT_CA_CACHE_TIMEOUT, 0)
    }
    try check(
      request.body.withUnsafeBytes {
        curl_set_body(library.functions, easy, $0.baseAddress, Int64($0.count))
      })
    try setHeaders(request.headers)
    try check(
      curl_set_callbacks(
        library.functions, easy, WebhookTransfer.headerTaken, WebhookTransfer.bodyTaken,
        WebhookTransfer.socketWanted, Unmanaged.passUnretained(self).toOpaque()))
  }

  private func setNumbers(_ request: WebhookRequest) throws(WebhookError) {
    let numbers: [(CURLoption, Int)] = [
      (CURLOPT_POST, 1), (CURLOPT_HTTP_VERSION, CURL_HTTP_VERSION_1_1),
      (CURLOPT_TIMEOUT_MS, Int(max(1, request.timeoutMs))),
      (CURLOPT_CONNECTTIMEOUT_MS, Int(max(1, min(request.timeoutMs, limits.connectMs)))),
      // How much is read before its callbacks are asked: a reply without end is ended soon.
      (CURLOPT_BUFFERSIZE, 1_024),
      // A signal per time-out is for programs of one thread.
      (CURLOPT_NOSIGNAL, 1),
      // A look-up of a host is left alone when its transfer ends: it would hold up the loop.
      (CURLOPT_QUICK_EXIT, 1),
      (CURLOPT_FOLLOWLOCATION, 0), (CURLOPT_DISALLOW_USERNAME_IN_URL, 1),
      (CURLOPT_PROTOCOLS, Int(CURLPROTO_HTTP | CURLPROTO_HTTPS)), (CURLOPT_PATH_AS_IS, 1),
      (CURLOPT_SSL_VERIFYPEER, 1), (CURLOPT_SSL_VERIFYHOST, 2),
      (CURLOPT_SSLVERSION, CURL_SSLVERSION_TLSv1_2), (CURLOPT_TCP_NODELAY, 1),
      // So that a name that leads elsewhere now is followed, however busy its connections are.
      (CURLOPT_MAXLIFETIME_CONN, 300),
    ]
    for (option, value) in numbers { try set(option, value) }
  }

  private func setHeaders(_ headers: [(name: String, value: String)]) throws(WebhookError) {
    // Without a value: libcurl's own are left out.
    try add("Expect:")
    try add("Accept:")
    for (name, value) in headers {
      precondition(!value.utf8.contains { $0 < 0x20 }, "a control character in a header")
      try add("\(name): \(value)")
    }
    try check(curl_set_pointer(library.functions, easy, CURLOPT_HTTPHEADER, list))
  }

  private func add(_ line: String) throws(WebhookError) {
    guard let longer = curl_list_with(library.functions, list, line) else {
      throw WebhookError("libcurl has no memory")
    }
    list = longer
  }

  private func set(_ option: CURLoption, _ value: Int) throws(WebhookError) {
    try check(curl_set_number(library.functions, easy, option, value))
  }

  private func set(_ option: CURLoption, _ value: String) throws(WebhookError) {
    try check(curl_set_pointer(library.functions, easy, option, value))
  }

  private func check(_ code: CURLcode) throws(WebhookError) {
    guard code != CURLE_OK else { return }
    throw WebhookError("libcurl: \(String(cString: curl_text(library.functions, code)))")
  }

  // MARK: Callbacks

  private static func of(_ owner: UnsafeMutableRawPointer?) -> WebhookTransfer? {
    owner.map { Unmanaged<WebhookTransfer>.fromOpaque($0).takeUnretainedValue() }
  }

  private static let headerTaken: curl_bytes_taken = { bytes, size, count, owner in
    let taken = size * count
    guard let transfer = WebhookTransfer.of(owner), let bytes else { return 0 }
    return transfer.took(header: UnsafeRawBufferPointer(start: bytes, count: taken)) ? taken : 0
  }

  private static let bodyTaken: curl_bytes_taken = { _, size, count, owner in
    guard let transfer = WebhookTransfer.of(owner) else { return 0 }
    transfer.bodyBytes += size * count
    return transfer.bodyBytes <= transfer.limits.bodyBytesMax ? size * count : 0
  }

  private static let socketWanted: curl_opensocket_callback = { owner, _, address in
    guard let transfer = WebhookTransfer.of(owner), let address else { return CURL_SOCKET_BAD }
    return transfer.openSocket(address)
  }

  /// One line of the header; whether to go on.
  private func took(header line: UnsafeRawBufferPointer) -> Bool {
    headerBytes += line.count
    isHeaderTooLarge = headerBytes > limits.headerBytesMax
    // The end of the header of anything but `100 Continue` and the like.
    if line.elementsEqual("\r\n".utf8) || line.elementsEqual("\n".utf8), status >= 200 {
      isAnswered = true
    }
    return !isHeaderTooLarge
  }

  /// A socket for an address that the policy allows; every connection comes by here.
  private func openSocket(_ address: UnsafeMutablePointer<curl_sockaddr>) -> curl_socket_t {
    // libcurl's struct goes on behind its last field, as long as `addrlen` says.
    let bytes = UnsafeRawBufferPointer(
      start: curl_address_bytes(address), count: Int(address.pointee.addrlen))
    let number: [UInt8]
    switch address.pointee.family {
    case AF_INET where bytes.count >= 8: number = Array(bytes[4..<8])
    case AF_INET6 where bytes.count >= 24: number = Array(bytes[8..<24])
    default: number = []
    }
    if let problem = limits.policy.refusal(number) {
      refusal = problem
      return CURL_SOCKET_BAD
    }
    let kind = address.pointee.socktype | Int32(SOCK_CLOEXEC.rawValue)
    return Glibc.socket(address.pointee.family, kind, address.pointee.protocol)
  }

  // MARK: The bytes of the reply

  /// It uses this socket from now on.
  func uses(_ descriptor: Int32) {
    guard socket?.descriptor != descriptor else { return }
    socket = Socket(adopting: descriptor)
    receivedBefore = socket?.bytesReceived ?? 0
  }

  /// Whether more has come than any reply may have, with TLS' certificates and all.
  ///
  /// libcurl's callbacks see neither the extensions of chunks nor what else frames a body.
  var isTooLong: Bool {
    guard let received = socket?.bytesReceived else { return false }
    return received - receivedBefore > Int64(limits.replyBytesMax)
  }

  /// The outcome of a transfer that is ended because its reply is too long.
  var outcomeOfTooLong: WebhookOutcome {
    isAnswered
      ? outcome(CURLE_OK) : .failed("its reply has more than \(limits.replyBytesMax) bytes")
  }

  // MARK: The end

  /// How many connections were made for it: none where an earlier one was used again.
  var connectionsMade: Int { curl_number(library.functions, easy, CURLINFO_NUM_CONNECTS) }

  private var status: Int { curl_number(library.functions, easy, CURLINFO_RESPONSE_CODE) }

  /// The outcome, now that libcurl is done with it.
  ///
  /// Once the header has come its status decides: the body is read for the connection's sake.
  func outcome(_ code: CURLcode) -> WebhookOutcome {
    guard !isAnswered || isHeaderTooLarge else {
      let status = status
      if 200..<300 ~= status { return .delivered(status: status) }
      let seconds = curl_retry_after_seconds(library.functions, easy)
      return .refused(
        status: status, retryAfterMs: seconds > 0 ? min(seconds, 86_400) * 1_000 : nil)
    }
    if isHeaderTooLarge {
      return .failed("its reply's header has more than \(limits.headerBytesMax) bytes")
    }
    if let refusal, code == CURLE_COULDNT_CONNECT { return .failed(refusal) }
    return .failed(reason(code))
  }

  private func reason(_ code: CURLcode) -> String {
    switch code {
    case CURLE_OPERATION_TIMEDOUT: "no answer in time"
    case CURLE_COULDNT_RESOLVE_HOST: "its host cannot be resolved"
    case CURLE_COULDNT_CONNECT:
      SystemError("connect", Int32(curl_number(library.functions, easy, CURLINFO_OS_ERRNO)))
        .description
    case CURLE_OK, CURLE_GOT_NOTHING, CURLE_RECV_ERROR, CURLE_SEND_ERROR, CURLE_PARTIAL_FILE:
      "the connection ended before the answer"
    case CURLE_PEER_FAILED_VERIFICATION: "its certificate does not verify"
    case CURLE_SSL_CACERT_BADFILE: "the file of authorities cannot be read"
    case CURLE_SSL_CONNECT_ERROR: "TLS cannot be agreed on"
    case CURLE_UNSUPPORTED_PROTOCOL, CURLE_WEIRD_SERVER_REPLY: "its answer is no HTTP"
    default: String(cString: curl_text(library.functions, code)).lowercased()
    }
  }
}

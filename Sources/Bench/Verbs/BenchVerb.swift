// Owns: what callers ask when it is not LOCK: a request of each verb that is measured, and those
// that make the sessions and messages which it needs. A value.

/// One kind of request, the same for all callers of a load.
enum BenchVerb: String, CaseIterable {
  case lock, open, get, set, touch, say, history, put, take, keys
  /// Not measured: so many messages for each device's session, many in one request; and so many
  /// documents.
  case fill, documents

  /// How many messages one SAY of `fill` carries at most.
  private static let fillStep = 500

  /// The requests that one device is asked, in order; each pass over the devices sends them all.
  func requests(device: String, agent: String, messages: Int) -> [[UInt8]] {
    switch self {
    case .lock: [line("LOCK \(device) \(agent)")]
    case .open: [line("OPEN \(device) {\"lang\":\"en\",\"step\":7,\"topic\":\"invoices\"}")]
    case .get: [line("GET \(device)")]
    case .set: [line("SET \(device) {\"step\":8}")]
    case .touch: [line("TOUCH \(device)")]
    case .say: [line("SAY \(device) {\"role\":\"other\",\"text\":\"How can I help you?\"}")]
    case .history: [line("HISTORY \(device) last=20")]
    case .put: [line("PUT \(device) draft \(BenchVerb.document)")]
    case .take: [line("TAKE \(device) draft")]
    case .keys: [line("KEYS \(device) newest=yes limit=1")]
    case .fill: fill(device, messages)
    case .documents:
      (1_000_000..<1_000_000 + messages).map { line("PUT \(device) run/\($0) {\"n\":\($0)}") }
    }
  }

  /// A document of 1 KiB.
  static let document = "{\"text\":\"\(String(repeating: "x", count: 1_024 - 11))\"}"

  private func fill(_ device: String, _ messages: Int) -> [[UInt8]] {
    stride(from: 0, to: messages, by: BenchVerb.fillStep).map { first in
      let count = min(BenchVerb.fillStep, messages - first)
      let message = "{\"role\":\"other\",\"text\":\"How can I help you?\"}"
      let list = repeatElement(message, count: count).joined(separator: ",")
      return line("SAY \(device) [\(list)]")
    }
  }

  private func line(_ text: String) -> [UInt8] { Array("\(text)\n".utf8) }
}

// Owns: an event as CloudEvents 1.0 has it in JSON. Pure values; any thread.

internal import Loop
internal import Wire

/// One event on its way to a receiver.
package struct CloudEvent: Sendable {
  /// Distinguishes the event from all others of its source; the same at each attempt.
  package let id: String
  /// Such as `lock.abandoned`, as EVENTS and WATCH have it.
  package let type: String
  /// The device; nil for what is of none.
  package let device: [UInt8]?
  /// The event as EVENTS shows it, braces included: one JSON object.
  package let data: [UInt8]

  package static let contentType = "application/cloudevents+json; charset=utf-8"
  /// The header in which the id stands once more.
  package static let idHeaderName = "Latchkey-Event-Id"

  package init(id: String, type: String, device: [UInt8]?, data: [UInt8]) {
    self.id = id
    self.type = type
    self.device = device
    self.data = data
  }

  /// The source of all events of one fleet, whose id is what INFO shows as `fleet`.
  package static func source(fleet: String) -> String { "urn:latchkey:\(fleet)" }

  /// The body of the request.
  ///
  /// `time` and `traceparent` are those that the event has as `at` (Unix ms) and `trace`; each is
  /// omitted where it has none.
  package func body(source: String) -> [UInt8] {
    var out: [UInt8] = []
    out.reserveCapacity(data.count + 320)
    func put(_ name: String, _ value: [UInt8]) {
      out.append(contentsOf: ",\"\(name)\":".utf8)
      JSONString.encode(value.span, into: &out)
    }
    out.append(contentsOf: "{\"specversion\":\"1.0\"".utf8)
    put("id", Array(id.utf8))
    put("source", Array(source.utf8))
    put("type", Array(type.utf8))
    if let device { put("subject", device) }
    if let at = number("at") { put("time", Array(WallTime.text(ms: at).utf8)) }
    put("datacontenttype", Array("application/json".utf8))
    if let trace = text("trace") { put("traceparent", trace) }
    out.append(contentsOf: ",\"data\":".utf8)
    out.append(contentsOf: data)
    out.append(UInt8(ascii: "}"))
    return out
  }

  private func number(_ name: StaticString) -> Int64? {
    value(name).flatMap { Int64(String(decoding: $0, as: UTF8.self)) }
  }

  private func text(_ name: StaticString) -> [UInt8]? {
    guard let value = value(name), value.first == UInt8(ascii: "\""), value.count > 2 else {
      return nil
    }
    return Array(value[(value.startIndex + 1)..<(value.endIndex - 1)])
  }

  /// The bytes of the first member of that name.
  private func value(_ name: StaticString) -> ArraySlice<UInt8>? {
    var members = JSONMembers(0, data.count)
    let wanted = Array("\(name)".utf8)
    while let (key, value) = members.next(in: data.span) {
      if data[key.range].elementsEqual(wanted) { return data[value] }
    }
    return nil
  }
}

// Owns: how JSON is written: names, commas and escapes. A value; any thread.

internal import Wire

/// A JSON text that is being written.
struct JSONText {
  private(set) var text = ""
  private var needsComma = false

  private mutating func name(_ name: String?) {
    if needsComma { text += "," }
    needsComma = false
    if let name { text += JSONText.quoted(name) + ":" }
  }

  private mutating func put(_ name: String?, _ value: String) {
    self.name(name)
    text += value
    needsComma = true
  }

  mutating func object(_ name: String? = nil, _ body: (inout JSONText) -> Void) {
    self.name(name)
    text += "{"
    body(&self)
    text += "}"
    needsComma = true
  }

  mutating func array<Element>(
    _ name: String, _ elements: [Element], _ body: (inout JSONText, Element) -> Void
  ) {
    self.name(name)
    text += "["
    for element in elements { body(&self, element) }
    text += "]"
    needsComma = true
  }

  mutating func bool(_ name: String, _ value: Bool) { put(name, value ? "true" : "false") }
  mutating func null(_ name: String) { put(name, "null") }
  mutating func member(_ name: String, _ value: Int) { put(name, "\(value)") }
  mutating func member(_ name: String, _ value: Int64) { put(name, "\(value)") }
  mutating func member(_ name: String, _ value: Double) { put(name, NumberText.decimal(value, 3)) }
  mutating func member(_ name: String, _ value: String) { put(name, JSONText.quoted(value)) }
  mutating func value(_ value: String) { put(nil, JSONText.quoted(value)) }
  mutating func value(_ value: Double) { put(nil, NumberText.decimal(value, 3)) }

  static func quoted(_ text: String) -> String {
    var bytes: [UInt8] = []
    JSONString.encode(Array(text.utf8).span, into: &bytes)
    return String(decoding: bytes, as: UTF8.self)
  }
}

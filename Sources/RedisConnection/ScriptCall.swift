// Owns: the form of a script's call: a value with a property for each parameter of the Lua
// function, by the same name, and the words that become of it. Values; any thread.

package import Scripts

/// A request for a script: its properties are the parameters of the Lua function, in their order.
///
/// It is declared beside the code that makes it, a verb's in the verb's file. A test compares the
/// properties' names with the Lua file: its header, and the parameters of its function. A request
/// for a batch is written into it at once, from texts that are lent; one that is kept for a later
/// step is made of texts of its own.
package protocol ScriptCall {
  static var script: Script { get }
  /// Appends a word for each property, in order.
  func write(to words: inout CommandBuffer)
}

extension ScriptCall {
  /// Whether all its texts are its own, so that it may outlive its request's line.
  ///
  /// For assertions: it looks at the properties by reflection.
  package var ownsItsTexts: Bool {
    ArgumentText.isOwned(self)
  }
}

/// A text that a script takes.
package enum ArgumentText {
  /// A part of a request's line: good while the verb runs.
  case lent(UnsafeBufferPointer<UInt8>)
  case owned([UInt8])
  case literal(StaticString)

  package init(_ text: String) { self = .owned(Array(text.utf8)) }

  package var string: String { withBytes { String(decoding: $0, as: UTF8.self) } }

  private func withBytes<Value>(_ body: (UnsafeBufferPointer<UInt8>) -> Value) -> Value {
    switch self {
    case .lent(let bytes): body(bytes)
    case .owned(let bytes): bytes.withUnsafeBufferPointer(body)
    case .literal(let text):
      body(UnsafeBufferPointer(start: text.utf8Start, count: text.utf8CodeUnitCount))
    }
  }

  /// Whether a value, and all that it is made of, is lent nothing.
  fileprivate static func isOwned(_ value: Any) -> Bool {
    if let text = value as? ArgumentText {
      if case .lent = text { return false }
      return true
    }
    return Mirror(reflecting: value).children.allSatisfy { isOwned($0.value) }
  }

  /// The same as a text of its own.
  package var kept: ArgumentText {
    guard case .lent(let bytes) = self else { return self }
    return .owned(Array(bytes))
  }
}

extension ArgumentText: ExpressibleByStringLiteral {
  package init(stringLiteral text: StaticString) { self = .literal(text) }
}

/// The words of parameters; what may be missing is an empty one.
extension CommandBuffer {
  package mutating func word(_ text: ArgumentText) {
    switch text {
    case .lent(let bytes): word(bytes)
    case .owned(let bytes): word(bytes)
    case .literal(let text):
      word(UnsafeBufferPointer(start: text.utf8Start, count: text.utf8CodeUnitCount))
    }
  }

  package mutating func word(_ text: ArgumentText?) {
    if let text { word(text) } else { emptyWord() }
  }

  package mutating func word(_ number: Int64?) {
    if let number { word(number) } else { emptyWord() }
  }

  /// Appends `yes`, or an empty word.
  package mutating func word(_ flag: Bool) {
    if flag { word(ArgumentText.literal("yes")) } else { emptyWord() }
  }
}

// Limits of a payload that are checked while it is read, so that one that is refused costs no more
// than what it may have. Constants; any thread.

/// The most of something, and the error of the first one too many.
package struct JSONLimit: Sendable {
  package let most: Int
  package let error: RequestError

  package init(_ most: Int, _ error: RequestError) {
    self.most = most
    self.error = error
  }
}

/// The limits of one kind of payload.
///
/// A class, so that handing it to the validator costs one reference.
package final class JSONLimits: Sendable {
  /// How deep it may nest: 128 at most.
  package let depthMax: Int
  /// Its bytes: it is read so far and no further.
  package let bytes: JSONLimit?
  /// Its members, if it is an object.
  package let members: JSONLimit?
  /// Its elements, if it is an array.
  package let elements: JSONLimit?
  /// The members or elements of a member's value, by the member's name without escapes.
  ///
  /// A name that is written with escapes is not found here: its reader has to count too.
  package let parts: [(name: StaticString, limit: JSONLimit)]

  package init(
    depthMax: Int = RequestParser.payloadDepthMaxDefault, bytes: JSONLimit? = nil,
    members: JSONLimit? = nil, elements: JSONLimit? = nil,
    parts: [(name: StaticString, limit: JSONLimit)] = []
  ) {
    precondition(
      depthMax <= JSONValidator.depthLimit,
      "JSONLimits: the depth limit is \(JSONValidator.depthLimit)")
    self.depthMax = depthMax
    self.bytes = bytes
    self.members = members
    self.elements = elements
    self.parts = parts
  }

  /// The nesting of the protocol, and nothing more.
  package static let usual = JSONLimits()
}

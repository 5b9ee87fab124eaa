// Owns: the tests of merging a chat's configuration.

import Testing

@testable import Service

struct ChatConfigurationTests {
  private func merged(_ old: String, _ patch: String) -> String {
    String(
      decoding: ChatConfiguration.merged(Array(old.utf8), with: Array(patch.utf8)), as: UTF8.self)
  }

  @Test(arguments: [
    ("null", "{}", "{}"), ("[1,2]", #"{"a":1}"#, #"{"a":1}"#),
    (#"{"a": 1.50 ,"b":[ ]}"#, "{}", #"{"a":1.50,"b":[ ]}"#),
    (#"{"a":1,"b":2}"#, #"{"a":{"x":null}}"#, #"{"a":{"x":null},"b":2}"#),
    (#"{"a":1,"b":2}"#, #"{"a":null}"#, #"{"b":2}"#),
    (#"{"a":null}"#, #"{"b":1}"#, #"{"a":null,"b":1}"#),
    (#"{"a":1,"a":2}"#, "{}", #"{"a":2}"#),
    (#"{"a":1}"#, #"{"a":null,"a":3}"#, #"{"a":3}"#),
    (#"{"a":1}"#, #"{"a":3,"a":null}"#, "{}"),
    (#"{"\u0061":1}"#, #"{"a":null}"#, "{}"),
    (#"{"\ud800":1,"é":2}"#, #"{"\ud800":3}"#, #"{"\ud800":3,"é":2}"#),
    ("{}", #"{"gone":null}"#, "{}"),
    // An old value that is no JSON counts as none.
    (#"{"a":"#, #"{"b":1}"#, #"{"b":1}"#), (#"{"a":1,"b"}"#, #"{"b":1}"#, #"{"b":1}"#),
    (#"{"a":1} x"#, #"{"b":1}"#, #"{"b":1}"#), ("{\"a\":\n1}", #"{"b":1}"#, #"{"b":1}"#),
    ("", #"{"b":1}"#, #"{"b":1}"#),
  ])
  func `members are merged, and values stay as they are`(old: String, patch: String, new: String) {
    #expect(merged(old, patch) == new)
  }
}

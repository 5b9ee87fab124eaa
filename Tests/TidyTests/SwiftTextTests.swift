// Owns: the tests of the tidy tests' own ground: reading Swift text.

import Testing

struct SwiftTextTests {
  @Test(arguments: [
    ("let a = 1  // x {", "let a = 1        "),
    ("a /* { /* } */ { */ b", "a                   b"),
    (#"f("a { \" b", c)"#, #"f("        ", c)"#),
    (#"f("a \(g("}") + h) b")"#, #"f("    g(" ") + h   ")"#),
    ("f(#\"a \\(\" b\"#)", "f( \"       \" )"),
    ("\"\"\"\n  a \"{\" b\n  \"\"\" + c", "\"\"\"\n         \n  \"\"\" + c"),
    ("f(`a { b`)", "f(_______)"),
    ("x = /[{\"]/ + y", "x =        + y"),
    ("x = a / b + c / d", "x = a / b + c / d"),
    ("f(#/a/{\"/#)", "f(        )"),
  ])
  func `comments and literals are blanked and code stays`(text: String, code: String) {
    #expect(String(decoding: SwiftText(text).bytes, as: UTF8.self) == code)
  }

  @Test func `a function is measured from its first line to its closing brace`() {
    let text = """
      struct S {
        var stored = [1, 2].map { $0 }
        var computed: Int {
          1
        }
        func short() -> Int { 1 }
        func long(
          a: Int = { 3 }()
        ) -> Int
        where T == Int {
          if a == 1 {
            return 2
          }
          return 1
        }
        init() { self.init(x: 1) }
        func `has a } in its name`() {
        }
      }
      protocol P {
        var a: Int { get }
        func b()
        func c()
      }
      struct T {
        deinit {

        }
      }
      """
    #expect(
      SwiftText(text).functions == [
        .init(line: 3, lineCount: 3), .init(line: 6, lineCount: 1), .init(line: 7, lineCount: 9),
        .init(line: 16, lineCount: 1), .init(line: 17, lineCount: 2),
        .init(line: 21, lineCount: 1), .init(line: 26, lineCount: 3),
      ])
  }

  @Test func `braces in raw identifiers do not count`() {
    let text = "func `a { b`() {\n}\nfunc c() {\n}"
    #expect(
      SwiftText(text).functions == [.init(line: 1, lineCount: 2), .init(line: 3, lineCount: 2)])
  }
}

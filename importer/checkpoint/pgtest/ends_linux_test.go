package pgtest_test

const endsWithParent = true

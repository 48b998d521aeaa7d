"""Download, verification and conversion of public corpora for `unroll prepare`."""

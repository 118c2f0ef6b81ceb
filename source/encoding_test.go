package source

import (
	"fmt"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/japanese"
	"golang.org/x/text/encoding/korean"
	"golang.org/x/text/encoding/simplifiedchinese"
	"golang.org/x/text/encoding/traditionalchinese"
)

// encodingTexts are chats of customers who wrote in their own language.
var encodingTexts = map[string][]string{
	"da": {"Hvor er min ordre? Den skulle være kommet i går.", "Rød grød på lørdag, tak", "Kan jeg få den igen?"},
	"de": {"Wo ist meine Bestellung? Ich hätte sie für übermorgen gebraucht.", "Schöne Grüße"},
	"fr": {"Où est ma commande ? Elle n'est pas arrivée, c'est très gênant.", "Merci, à demain, c'est réglé"},
	"cs": {"Příliš žluťoučký kůň úpěl ďábelské ódy. Kde je moje objednávka?", "Děkuji vám, čekám na odpověď"},
	"pl": {"Gdzie jest moje zamówienie? Miało przyjść w środę, ale jeszcze go nie ma.", "Dziękuję"},
	"ru": {"Где мой заказ? Он должен был прийти в среду.", "Спасибо"},
	"el": {"Πού είναι η παραγγελία μου; Έπρεπε να έρθει την Τετάρτη", "Ευχαριστώ"},
	"ja": {"注文はどこですか。水曜日に届くはずでした。", "ありがとうございます"},
	"ko": {"제 주문은 어디에 있나요? 수요일에 도착했어야 합니다.", "감사합니다"},
	"zh": {"我的订单在哪里？它应该在星期三到达。", "谢谢你们的帮助"},
	"tw": {"我的訂單在哪裡？它應該在星期三到達。", "謝謝你們的幫助"},
}

func TestUndeclaredEncodingsAreNamed(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		language, want string
		encoding       encoding.Encoding
	}{
		{"da", "windows-1252", charmap.Windows1252}, {"de", "windows-1252", charmap.Windows1252}, {"fr", "windows-1252", charmap.Windows1252},
		{"da", "macintosh", charmap.Macintosh}, {"de", "macintosh", charmap.Macintosh}, {"fr", "macintosh", charmap.Macintosh},
		{"da", "ibm850", charmap.CodePage850}, {"de", "ibm850", charmap.CodePage850}, {"fr", "ibm850", charmap.CodePage850},
		{"cs", "windows-1250", charmap.Windows1250}, {"cs", "iso-8859-2", charmap.ISO8859_2}, {"pl", "windows-1250", charmap.Windows1250}, {"pl", "iso-8859-2", charmap.ISO8859_2},
		{"ru", "windows-1251", charmap.Windows1251}, {"ru", "koi8-r", charmap.KOI8R}, {"ru", "ibm866", charmap.CodePage866}, {"ru", "iso-8859-5", charmap.ISO8859_5},
		{"el", "iso-8859-7", charmap.ISO8859_7}, {"ja", "shift_jis", japanese.ShiftJIS}, {"ja", "euc-jp", japanese.EUCJP}, {"ja", "iso-2022-jp", japanese.ISO2022JP},
		{"ko", "euc-kr", korean.EUCKR}, {"zh", "gb18030", simplifiedchinese.GBK}, {"tw", "big5", traditionalchinese.Big5},
	} {
		for _, texts := range [][]string{encodingTexts[tt.language], encodingTexts[tt.language][:1], encodingTexts[tt.language][1:]} {
			name := fmt.Sprintf("%s in %s, %d", tt.language, tt.want, len(texts))
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				var lines strings.Builder
				for i, text := range texts {
					fmt.Fprintf(&lines, `{"id":"t-%d","closed_at":1795075200,"end_user":{"external_id":"c"},"messages":[{"role":"user","text":"%s"},{"role":"bot","text":"It ships today"}]}`+"\n", i, text)
				}
				content := encoded(tt.encoding, lines.String())
				dir := write(t, map[string]string{"f": content})
				config := JSONLConfig{Paths: []string{dir + "/f"}, Now: testClock}
				read := func(config JSONLConfig) (texts []string, failure error) {
					s, err := OpenJSONL(config)
					if err != nil {
						t.Fatal(err)
					}
					for r, err := range s.Read(t.Context(), time.Time{}) {
						if err != nil {
							t.Fatal(err)
						}
						if r.EndOfFile {
							continue
						}
						got, err := r.Transcript()
						if err != nil {
							return nil, err
						}
						texts = append(texts, got.Messages[0].Text)
					}
					return texts, nil
				}
				_, err := read(config)
				if err == nil || !strings.Contains(err.Error(), "wrong_encoding: the file is not UTF-8") {
					t.Fatalf("got %v", err)
				}
				if len(texts) > 1 && !strings.Contains(err.Error(), tt.want) {
					t.Errorf("%v does not say %s", err, tt.want)
				}
				for _, text := range texts {
					if strings.Contains(err.Error(), text) {
						t.Errorf("%v repeats the text", err)
					}
				}
				config.Encoding = tt.want
				got, err := read(config)
				if err != nil || strings.Join(got, "|") != strings.Join(texts, "|") {
					t.Errorf("declared as %s: %q, %v", tt.want, got, err)
				}
			})
		}
	}
}

// TestDamagedUTF8IsUTF8: a few bytes that somebody cut or added do not make another encoding of a file.
func TestDamagedUTF8IsUTF8(t *testing.T) {
	t.Parallel()
	for language, texts := range encodingTexts {
		whole := strings.Repeat(`{"text":"`+strings.Join(texts, " ")+`"}`+"\n", 3)
		for _, damage := range []string{"\xff", "\x80", "\xa0", "\xc3", "\xe9", "\xe3\x81", "\xf0\x9f\x98", "\xed\xa0\xbd"} {
			for _, at := range []int{9, 10, 11, len(whole) / 2, len(whole) - 5} {
				text := []byte(whole[:at] + damage + whole[at:])
				if utf8.Valid(text) {
					continue
				}
				if failure := fileEncoding(text); failure != nil {
					t.Errorf("%s, %q at %d: %v", language, damage, at, failure)
				}
			}
		}
	}
	for _, text := range []string{"caf\xc3", "Hi\xf0\x9f\x98!", "x\xe2\x82", "h\u00e5 a \xff\xfe b", "h\u00e5 5\xa0000 \xb0", "\u00e5 \x80 \x99", "\u00e6\u00f8\u00e5 \xe6"} {
		if failure := fileEncoding([]byte(`{"text":"` + text + `"}`)); failure != nil {
			t.Errorf("%q: %v", text, failure)
		}
	}
}

// TestShortTextsAreNotDamaged: a file without any UTF-8 is in another encoding, however little there is of it.
func TestShortTextsAreNotDamaged(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		text, want string
		encoding   encoding.Encoding
	}{
		{"hej æøå", "windows-1252", charmap.Windows1252}, {"æ", "windows-1252", charmap.ISO8859_1}, {"Å", "windows-1252", charmap.Windows1252}, {"ÆØÅ", "windows-1252", charmap.Windows1252},
		{"20 °", "windows-1252", charmap.ISO8859_1}, {"5\u00a0000 €", "windows-1252", charmap.Windows1252}, {"à", "windows-1252", charmap.ISO8859_1}, {"Größe: über", "windows-1252", charmap.Windows1252},
		{"café", "windows-1252", charmap.ISO8859_1}, {"Hvad så?", "windows-1252", charmap.Windows1252}, {"« oui »", "windows-1252", charmap.Windows1252}, {"“ok”", "windows-1252", charmap.Windows1252},
		{"Привет", "", charmap.Windows1251}, {"Спасибо", "windows-1251", charmap.Windows1251}, {"謝謝你們的幫助", "", traditionalchinese.Big5}, {"på", "", charmap.Macintosh},
	} {
		content := encoded(tt.encoding, tt.text)
		for _, file := range []string{
			`{"id":"t-1","closed_at":1795075200,"messages":[{"role":"user","text":"` + content + `"}]}`,
			"[{\n\"text\": \"" + content + "\"\n}]",
			"conversation_id,role,text,created_at\n1,user," + content + ",2025-11-19T08:00:00Z\n",
			"id;text\r\n1;" + content + "\r\n",
		} {
			failure := fileEncoding([]byte(file))
			if failure == nil || failure.Code != RejectWrongEncoding || tt.want != "" && failure.encoding != tt.want {
				t.Errorf("%q in %q: %v", tt.text, file, failure)
			}
		}
	}
}

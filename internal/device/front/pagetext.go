package front

import "github.com/paperclip-nas/paperclip/internal/web"

// html is the page: what is going on, what to do, and how to know this NAS.
func (p page) html() web.HTML {
	elsewhere, known := web.HTML(""), web.HTML("")
	if !p.OnLink {
		elsewhere = "<p>You are looking from another network now. From here the page can be read, but nobody can be let in.</p>\n"
	}
	if p.Key != "" {
		known = web.Format(pageKey, p.Key)
	}
	return web.Format(pageText, p.Name, p.now(), elsewhere, known)
}

// now is what is going on.
func (p page) now() web.HTML {
	switch c := p.Claim; {
	case p.Away:
		return note("Part of Paperclip is not running just now.", "It may still be starting. Load this page again in a minute.", "")
	case p.Busy:
		return note("A reset is under way.", "It goes to its end by itself, whatever happens. Leave the NAS on.", "")
	case !c.Open:
		return pageCalm
	default:
		return note("Somebody held the reset button.", "That alone changes nothing: all passwords are as they were.",
			web.Format("\n<p>%s</p>\n<p>If nobody goes on, this ends by itself in %s.</p>\n", p.next(), p.Closes))
	}
}

// next is what the person at the NAS does now.
func (p page) next() web.HTML {
	switch {
	case p.Claim.PressNeeded:
		return "Too many wrong codes were tried. A short press on the button takes five more tries and says a fresh code."
	case p.Claim.CodeNeeded:
		return "The NAS beeps a code, in four groups of 1 to 6 beeps. Run <code>paperclip rescue</code> and type it there. A short press on the button says a fresh code."
	}
	return "Somebody at the NAS has typed its code and is going on. If that is not you or yours, hold the button longer than 10 seconds: it all ends, and nothing is changed."
}

func note(what, means string, more web.HTML) web.HTML {
	return web.Format(`<div class="note" role="status"><p><strong>%s</strong> %s</p>%s</div>`, what, means, more)
}

const (
	pageCalm = `<div class="calm" role="status"><p><strong>Nothing is going on.</strong> The reset button is not in use, and nothing is being changed.</p></div>`

	pageText = `<h1>This is %s</h1>
<p class="lead">A NAS with Paperclip: its reset button gets you back in, and every file stays where it is.</p>

%s

<h2>You can’t sign in?</h2>
<ol>
<li>Take a computer on the network that this NAS is plugged into, with Linux, macOS or Windows, and install Paperclip on it.</li>
<li>Open a terminal there and run <code class="command">paperclip rescue</code></li>
<li>It tells you when to hold the reset button: 4 seconds, until the NAS beeps once. Before anything changes it shows you what will.</li>
</ol>
%s<p>You need to be able to reach the NAS and hear it. You don’t need the old password.</p>

<h2>In this browser, without installing anything?</h2>
<p>Not yet. This page has no form and asks for no password. If a page like this one asks you for one, it is not from this NAS.</p>
%s`

	pageKey = `
<h2>Is it really this NAS?</h2>
<p>Paperclip on your computer checks that for you. To compare by eye: this is the key of this NAS, and <code>sudo paperclipd status</code> on its console shows the same. <code class="command">%s</code></p>`
)

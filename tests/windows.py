"""What every page of ours does in a window of any browser."""


def assert_fits_and_is_quiet(tab, path, width, scheme):
    """A page is no wider than its window, has the scheme's colours, says nothing and asks nobody."""
    assert tab.run("document.documentElement.scrollWidth") <= width
    colours = tab.run(
        "(({color, backgroundColor}) => [color, backgroundColor])(getComputedStyle(document.body))"
    )
    ink, ground = (sum(map(int, colour[4:-1].split(","))) for colour in colours)
    assert (ink > ground) == (scheme == "dark")
    tab.run("new Promise((done) => setTimeout(done, 200))")
    assert tab.said() == []
    assert tab.requested() == [path.as_uri()]

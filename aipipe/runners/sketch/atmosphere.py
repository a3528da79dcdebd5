"""Word lists that set a picture's mood: colours, sizes, numbers, time of day, weather, season and place."""

from __future__ import annotations

COLOURS = {
    "red": "#d13a30", "scarlet": "#c8281f", "crimson": "#a81c33", "orange": "#ea8a2e", "yellow": "#f2c531",
    "golden": "#e0a92e", "gold": "#d9a02b", "green": "#4f9a4f", "turquoise": "#35a8a0", "blue": "#3b72b8",
    "azure": "#4a97d6", "indigo": "#41438f", "purple": "#7b4a9c", "violet": "#7a55b5", "pink": "#e58aa8",
    "brown": "#8a5a36", "black": "#2c2a30", "white": "#f4f1ea", "grey": "#8d9096", "gray": "#8d9096",
    "silver": "#b4bcc6", "silvery": "#b4bcc6", "rusty": "#a4552c", "emerald": "#2f8f63", "beige": "#d8c4a0",
    "rot": "#d13a30", "rote": "#d13a30", "roter": "#d13a30", "rotes": "#d13a30", "roten": "#d13a30",
    "blau": "#3b72b8", "blaue": "#3b72b8", "blauer": "#3b72b8", "blaues": "#3b72b8", "blauen": "#3b72b8",
    "grün": "#4f9a4f", "grüne": "#4f9a4f", "grüner": "#4f9a4f", "grünes": "#4f9a4f", "gelb": "#f2c531",
    "gelbe": "#f2c531", "gelber": "#f2c531", "gelbes": "#f2c531", "schwarz": "#2c2a30", "schwarze": "#2c2a30",
    "schwarzer": "#2c2a30", "weiß": "#f4f1ea", "weiße": "#f4f1ea", "weißer": "#f4f1ea", "weißes": "#f4f1ea",
    "braun": "#8a5a36", "braune": "#8a5a36", "rosa": "#e58aa8", "lila": "#7b4a9c", "grau": "#8d9096",
}  # fmt: skip
SIZES = {
    "tiny": 0.6, "little": 0.8, "small": 0.75, "miniature": 0.6, "big": 1.3, "large": 1.3, "huge": 1.6,
    "giant": 1.8, "gigantic": 1.8, "enormous": 1.7, "tall": 1.3, "vast": 1.4, "oversized": 1.6, "massive": 1.6,
    "klein": 0.75, "kleine": 0.75, "kleiner": 0.75, "kleines": 0.75, "groß": 1.3, "große": 1.3, "großer": 1.3,
    "großes": 1.3, "riesig": 1.7, "riesige": 1.7, "riesiger": 1.7, "winzig": 0.6, "winzige": 0.6,
}  # fmt: skip
NUMBERS = {
    "one": 1, "two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "seven": 7, "eight": 8, "nine": 9, "ten": 9,
    "dozen": 9, "several": 4, "some": 3, "many": 6, "few": 3, "countless": 8, "hundred": 9, "hundreds": 9,
    "both": 2, "zwei": 2, "drei": 3, "vier": 4, "fünf": 5, "sechs": 6, "sieben": 7, "acht": 8, "viele": 6,
    "einige": 3,
}  # fmt: skip


def _sets(**groups: str) -> dict[str, frozenset[str]]:
    return {name: frozenset(w.strip() for w in words.split(",")) for name, words in groups.items()}


TIMES = _sets(
    night="night, nights, midnight, nocturnal, starry, moonlit, moonlight, nighttime, nacht, nachts, mitternacht",
    sunset="sunset, sundown, dusk, evening, twilight, afterglow, sonnenuntergang, abend, abendlicht, dämmerung",
    dawn="dawn, sunrise, morning, daybreak, early light, sonnenaufgang, morgen, morgens",
    day="day, noon, midday, afternoon, daylight, mittag, tag",
)
WEATHER = _sets(
    snow="snow, snowy, snowfall, snowing, snow-covered, winter, wintry, frost, frosty, icy, blizzard, schnee, "
    "verschneit, verschneiten, verschneite, winterlich",
    storm="storm, stormy, thunder, thunderstorm, tempest, hurricane, sturm, gewitter",
    rain="rain, rainy, raining, drizzle, downpour, rains, regen, regnerisch",
    fog="fog, foggy, mist, misty, haze, hazy, nebel, neblig",
)
SEASONS = _sets(
    winter="winter, snow, snowy, wintry, schnee, verschneiten",
    autumn="autumn, autumnal, october, november, herbst",
    spring="springtime, april, may morning, in spring, frühling",
    summer="summer, july, august, sommer",
)
PLACES = _sets(
    deep="deep sea, underwater, under water, seabed, reef, aquarium, deep ocean, ocean floor, sea floor, tiefsee, "
    "unterwasser",
    beach="beach, shore, seashore, dune, dunes, coast, sand, strand, ufer, küste",
    space="space, outer space, galaxy, cosmos, universe, orbit, weltraum, weltall, kosmos",
    forest="forest, forests, woods, jungle, grove, woodland, thicket, wald, wäldern, dschungel",
    city="city, cities, street, streets, skyline, metropolis, downtown, alley, boulevard, town square, stadt, "
    "straße, großstadt",
    indoor="room, kitchen, indoors, studio, cafe, café, attic, window, chamber, hall, floor, table, desk, shelf, "
    "bedroom, zimmer, küche, fenster, tisch",
    mountain="mountain, mountains, alps, alpine, peak, peaks, summit, cliff, valley, berge, gebirge, gipfel, tal",
    desert="desert, sahara, wüste",
    lake="lake, pond, river, stream, creek, swamp, marsh, puddle, fluss, see, teich, bach",
    sea="sea, ocean, harbour, harbor, seas, meer, ozean, hafen, waves",
    meadow="meadow, meadows, field, fields, grass, lawn, pasture, park, garden, hill, hills, countryside, prairie, "
    "wiese, feld, garten, hügel",
)
FILLER = frozenset(
    """
    a an the and or but of in on at to from with without for by as into onto over under above below between behind
    beside near around through across against along among amid off up down out is are was were be been being it its
    his her their my your our this that these those there here who which what when where while one's top bottom
    side middle front back left right very more most much so too not no only just than then still also even all
    each every other another such same like upon atop within toward towards during after before made style image
    picture scene view photo photograph photography photomontage collage painting watercolor watercolour oil
    drawing illustration sketch art artwork artistic detailed composition high quality resolution depicting showing
    der die das den dem des ein eine einen einem einer eines und oder auf im am an mit ohne von vom zu zum zur bei
    beim aus ist sind wird werden sich nicht über unter vor hinter neben zwischen ihr sein seine ihre wie als
    i you he she they we me him them us some any if whose
    old young new ancient broken torn warm cold soft hard bright dark sleeping beautiful pretty lonely empty quiet
    colourful colorful alter alte altes alten junge bunt bunte bunten bunter
    """.split()
)
VERBS = frozenset(
    """
    sit sits sitting stand stands lie lies lay sleep sleeps read reads fly flies flying run runs walk walks look looks
    hold holds play plays wear wears carry carries sing sings dance dances grow grows sprout sprouts buzz buzzing
    bloom blooms eat eats drink drinks swim swims float floats fall falls rise rises turn turns become becomes go goes
    come comes watch watches wait waits hang hangs make makes let lets jump jumps climb climbs glow glows shine shines
    drift drifts ride rides drive drives hide hides dream dreams whisper whispers cover covers surround fill fills
    sitzt steht liegt schläft liest lassen steigen fliegt läuft schaut spielt singt tanzt wächst schwimmt
    take give keep see hear feel think know find lose open close meet grin stretch reach gather paint write
    """.split()
)

"""A built-in list of items: names of colours, for a model of characters that makes up new ones."""

COLOURS = tuple(
    """
amber, amethyst, apricot, aqua, ash grey, aubergine, azure, baby blue, bamboo, banana yellow, beige,
berry red, biscuit, black, blackberry, blood orange, blue, blue grey, blush, bone white, bottle
green, brick red, bright pink, bronze, brown, burgundy, burnt orange, butter yellow, cabbage green,
camel, candy pink, canary yellow, caramel, cardinal red, carmine, carrot orange, celery green,
cerise, chalk white, charcoal, cherry red, chestnut, chocolate, cinnamon, citrus yellow, clay,
cloud grey, clover green, cobalt blue, cocoa, coffee, copper, coral, corn yellow, cornflower blue,
cranberry, cream, crimson, cyan, damson, dark blue, dark green, dark grey, dark red, deep purple,
denim blue, desert sand, dove grey, dusty pink, earth brown, ebony, egg white, electric blue,
elephant grey, emerald, fern green, fire red, flamingo pink, flax, forest green, fuchsia, ginger,
glacier blue, gold, grape, graphite, grass green, green, grey, hazel, heather, honey, hot pink,
ice blue, indigo, ink blue, ivory, ivy green, jade, jet black, khaki, lavender, leaf green, lemon
yellow, light blue, light green, light grey, lilac, lime green, linen, magenta, mahogany, mango,
maroon, mauve, midnight blue, milk white, mint green, mocha, moss green, mulberry, mustard, navy
blue, night black, nutmeg, oak brown, ochre, off white, old rose, olive green, orange, orchid,
oyster white, pale blue, pale green, pale pink, peach, peacock blue, pear green, pearl, petrol blue,
pine green, pink, pistachio, plum, poppy red, powder blue, pumpkin, purple, raspberry, red, rose,
royal blue, ruby, rust, saffron, sage green, salmon, sand, sapphire, scarlet, sea green, sepia,
silver, sky blue, slate grey, smoke, snow white, steel blue, stone grey, straw yellow, sunset
orange, tan, tangerine, taupe, teal, terracotta, tomato red, turquoise, umber, vanilla, vermilion,
violet, walnut, wheat, white, wine red, yellow
""".replace("\n", " ")
    .strip()
    .split(", ")
)
"""In alphabetical order."""

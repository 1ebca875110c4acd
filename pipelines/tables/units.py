"""Units of numbers: which mean the same, and how one converts to another."""

from collections import Counter
from collections.abc import Mapping
from typing import NamedTuple

# By dimension: unit=factor to the first unit of the dimension, with synonyms of equal factor.
MEASURES = {
    "share": "fraction=1 %,percent,pct,prozent=0.01 ‰,permille,promille=0.001 bp,bps=0.0001",
    "mass": "kg,kilo,kilogram=1 g,gram,gr=0.001 mg=1e-6 µg,μg,ug=1e-9 t,ton,tonne=1000 "
    "lb,lbs,pound=0.45359237 oz,ounce=0.028349523125 st,stone=6.35029318",
    "length": "m,meter,metre=1 km,kilometer,kilometre=1000 cm=0.01 mm=0.001 µm,μm,um=1e-6 nm=1e-9 "
    "mi,mile=1609.344 yd,yard=0.9144 ft,foot,feet,'=0.3048 in,inch,inche,\"=0.0254",
    "area": "m2,sqm,qm=1 km2,sqkm=1e6 cm2=1e-4 mm2=1e-6 ha,hectare=1e4 acre=4046.8564224 "
    "ft2,sqft,sf=0.09290304 sqmi,mi2=2589988.110336",
    "volume": "l,liter,litre=1 ml=0.001 cl=0.01 dl=0.1 hl=100 m3,cbm=1000 cm3,cc,ccm=0.001 "
    "gal,gallon=3.785411784 pt,pint=0.473176473 floz=0.0295735295625",
    "time": "s,sec,second,sek,sekunde=1 ms,msec,millisecond=0.001 min,minute,minuten=60 "
    "h,hr,hour,std,stunde,stunden=3600 d,day,tag,tage=86400 w,wk,week,woche,wochen=604800 "
    "mo,month,monat,monate=2629746 y,yr,year,jahr,jahre=31556952",
    "temperature": "°c,c,celsius,celsiu=1 °f,f,fahrenheit=0.5555555555555556 kelvin,°k=1",
    "speed": "m/s=1 km/h,kmh,kph=0.2777777777777778 mph=0.44704 kn,kt,knot=0.5144444444444445",
    "power": "w,watt=1 kw=1000 mw=1e6 gw=1e9 hp=745.6998715822702 ps,cv=735.49875",
    "energy": "kwh=1 wh=0.001 mwh=1000 gwh=1e6 j=2.7777777777777776e-7 kj=2.777777777777778e-4 "
    "mj=0.2777777777777778 kcal=0.0011622222222222223",
    "data": "b,byte=1 kb=1e3 mb=1e6 gb=1e9 tb=1e12 kib=1024 mib=1048576 gib=1073741824",
    "frequency": "hz=1 khz=1e3 mhz=1e6 ghz=1e9",
    "pressure": "hpa,mbar=1 pa=0.01 kpa=10 bar=1000 psi=68.94757293168361 mmhg=1.33322387415",
    "angle": "°,deg,degree=1 rad=57.29577951308232",
    **{
        names.partition(",")[0]: f"{names}=1"
        for names in (
            *("usd,$,us$,dollar", "eur,€,euro", "gbp,£", "jpy,¥,円", "cny,rmb,元,cn¥", "inr,₹,rs"),
            *("rub,₽", "pln,zł", "chf,fr,sfr", "brl,r$", "krw,₩,원", "try,₺", "aud,a$,au$"),
            *("cad,c$,ca$", "czk,kč", "huf", "nzd,nz$", "sgd,s$", "hkd,hk$", "mxn,mx$"),
        )
    },
}
FRACTION = "fraction"
MONEY_WITH_COMMAS = {"eur", "kr", "sek", "nok", "dkk", "pln", "brl", "try", "czk", "huf", "rub"}
OFFSETS = {"°f": -32.0, "f": -32.0, "fahrenheit": -32.0, "kelvin": -273.15, "°k": -273.15}
# A column with the unit MIXED has numbers in different multiples: 900, 1.2k, 3m.
MIXED = "k"
MULTIPLES = {"": 1.0, MIXED: 1.0, "m": 1e6, "b": 1e9}  # a parsed number contains its own k


class Unit(NamedTuple):
    """A unit: a value v is (v + offset) * factor in the first unit of its dimension."""

    dimension: str
    factor: float
    offset: float = 0.0


UNITS = {
    name: Unit(dimension, float(factor), OFFSETS.get(name, 0.0))
    for dimension, units in MEASURES.items()
    for names, _, factor in (unit.rpartition("=") for unit in units.split())
    for name in names.split(",")
}


def convert(value: float, unit: str, of_column: str) -> float:
    """Convert a number to the unit of its column; NaN if there is no conversion."""
    if unit in ("", of_column):
        return value
    if of_column == MIXED:
        return value * MULTIPLES.get(unit, float("nan"))
    source, target = UNITS.get(unit), UNITS.get(of_column)
    if source is None or target is None or source.dimension != target.dimension:
        return float("nan")
    if source[1:] == target[1:]:
        return value
    converted = (value + source.offset) * source.factor / target.factor - target.offset
    return float(f"{converted:.15g}")  # 7 in place of 7.000000000000001


def is_convertible(unit: str, of_column: str) -> bool:
    """Whether numbers of a unit can be converted to the unit of their column."""
    return convert(1.0, unit, of_column) == convert(1.0, unit, of_column)


def is_share(unit: str) -> bool:
    """Whether a unit is a share of a whole, such as %."""
    return unit in UNITS and UNITS[unit].dimension == "share"


def uses_decimal_comma(unit: str) -> bool:
    """Whether prices in this currency have decimal commas, and two decimals at most."""
    return (UNITS[unit].dimension if unit in UNITS else unit) in MONEY_WITH_COMMAS


def main_unit(units: Mapping[str, int], min_share: float) -> str:
    """Return the most frequent unit of a column, given its cells by unit; "" for none.

    It is "" too if fewer than `min_share` of the cells with a unit can be converted to it.
    """
    named = Counter({unit: count for unit, count in units.items() if unit})
    if units.keys() <= MULTIPLES.keys() and (MIXED in named or len(named) > 1):
        return MIXED
    named.pop(MIXED, None)
    dimensions = Counter[str]()
    for unit, count in named.items():
        dimensions[_dimension(unit)] += count
    if not dimensions:
        return ""
    dimension, count = dimensions.most_common(1)[0]
    if count < min_share * dimensions.total():
        return ""
    return next(unit for unit, _ in named.most_common() if _dimension(unit) == dimension)


def _dimension(unit: str) -> str:
    return UNITS[unit].dimension if unit in UNITS else unit
